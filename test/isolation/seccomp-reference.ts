import type { ArgumentTest, SeccompFilter } from '../../src/isolation/seccomp-filter.ts';
import { ALL_BITS, actionValue } from '../../src/isolation/seccomp-filter.ts';
import { syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { AUDIT_ARCH, type SeccompData } from './bpf-interpreter.ts';

const KILL_PROCESS = actionValue({ do: 'kill-process' });

/** What a filter means, said without any BPF: the compiler is held to this. */
export function judge(filter: SeccompFilter, data: SeccompData): number {
  const { architecture } = filter;
  if (data.auditArchitecture !== AUDIT_ARCH[architecture]) return KILL_PROCESS;
  if (architecture === 'x64' && data.number >= 0x40000000) return KILL_PROCESS;
  const known = new Set(syscallsOf(architecture).values());
  if (!known.has(data.number)) return actionValue(filter.unknownAction);
  const clause = (filter.syscalls.get(data.number) ?? []).find(({ tests }) =>
    tests.every((test) => holds(test, data.args[test.index] ?? 0n)),
  );
  return actionValue(clause?.action ?? filter.defaultAction);
}

function holds({ comparison, value, mask }: ArgumentTest, argument: bigint): boolean {
  const actual = argument & mask;
  const wanted = value & mask;
  return {
    eq: actual === wanted,
    ne: actual !== wanted,
    lt: actual < wanted,
    le: actual <= wanted,
    gt: actual > wanted,
    ge: actual >= wanted,
  }[comparison];
}

/** Arguments around everything the tests of one call look at: every combination of corner values. */
export function* cornerArguments(tests: readonly ArgumentTest[]): Generator<readonly bigint[]> {
  const corners = Array.from({ length: 6 }, (_, index) =>
    cornerValues(tests.filter((test) => test.index === index)),
  );
  yield* combinations(corners, []);
}

function* combinations(
  [first, ...rest]: readonly (readonly bigint[])[],
  chosen: readonly bigint[],
): Generator<readonly bigint[]> {
  if (first === undefined) {
    yield chosen;
    return;
  }
  for (const value of first) yield* combinations(rest, [...chosen, value]);
}

function cornerValues(tests: readonly ArgumentTest[]): readonly bigint[] {
  const values = tests.flatMap(({ value, mask }) => [
    value,
    value - 1n,
    value + 1n,
    value | (1n << 32n),
    value | ~mask,
    mask,
    lowestBit(mask),
    highestBit(mask),
    0n,
    ALL_BITS,
  ]);
  return tests.length === 0
    ? [0x1234_5678_9abc_def0n]
    : [...new Set(values.map((value) => BigInt.asUintN(64, value)))];
}

function lowestBit(mask: bigint): bigint {
  return mask & -mask;
}

function highestBit(mask: bigint): bigint {
  return mask === 0n ? 0n : 1n << BigInt(mask.toString(2).length - 1);
}
