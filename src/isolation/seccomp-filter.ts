import type { Architecture } from './seccomp-syscalls.ts';

/** What the kernel does with a system call. */
export type SeccompAction =
  | { readonly do: 'allow' }
  | { readonly do: 'errno'; readonly errno: number }
  | { readonly do: 'log' }
  | { readonly do: 'trap' }
  | { readonly do: 'kill-thread' }
  | { readonly do: 'kill-process' };

/** Unsigned 64-bit comparisons. */
export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';

/** `(argument & mask) comparison value`. */
export interface ArgumentTest {
  /** 0 to 5. */
  readonly index: number;
  readonly comparison: Comparison;
  readonly value: bigint;
  readonly mask: bigint;
}

/** What to do when every test holds; without tests, always. */
export interface SeccompClause {
  readonly tests: readonly ArgumentTest[];
  readonly action: SeccompAction;
}

/** A filter for one architecture: per system call, the first clause that holds decides. */
export interface SeccompFilter {
  readonly architecture: Architecture;
  readonly syscalls: ReadonlyMap<number, readonly SeccompClause[]>;
  /** For known calls without a clause that holds. */
  readonly defaultAction: SeccompAction;
  /** For numbers no table has: calls of newer kernels. */
  readonly unknownAction: SeccompAction;
}

/** All 64 bits of an argument: pointers and sizes. */
export const ALL_BITS = 0xffff_ffff_ffff_ffffn;

/**
 * The low half of an argument. The kernel itself drops the rest of an `int`, `pid_t` or `mode_t`; a
 * test that looked at it could be passed by setting a high bit (CVE-2019-10063).
 */
export const LOW_BITS = 0xffff_ffffn;

/** True when two actions are the same answer. */
export function sameAction(one: SeccompAction, other: SeccompAction): boolean {
  return actionValue(one) === actionValue(other);
}

/** The action as the return value of a filter. @see seccomp(2) */
export function actionValue(action: SeccompAction): number {
  if (action.do === 'errno') return 0x0005_0000 | action.errno;
  return {
    allow: 0x7fff_0000,
    log: 0x7ffc_0000,
    trap: 0x0003_0000,
    'kill-thread': 0x0000_0000,
    'kill-process': 0x8000_0000,
  }[action.do];
}
