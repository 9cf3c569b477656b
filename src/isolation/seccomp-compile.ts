// From a filter to classic BPF. The kernel runs the program for every system call, so the number is
// looked up by binary search over ranges of numbers that are treated alike.

import { IsolationUnavailableError } from '../errors.ts';
import {
  BPF,
  BPF_INSTRUCTIONS_MAX,
  type BpfInstruction,
  branch,
  encodeBpf,
  instruction,
} from './bpf.ts';
import {
  type ArgumentTest,
  actionValue,
  type Comparison,
  LOW_BITS,
  type SeccompAction,
  type SeccompClause,
  type SeccompFilter,
} from './seccomp-filter.ts';
import { type Architecture, syscallsOf } from './seccomp-syscalls.ts';

type Code = readonly BpfInstruction[];

/** Offsets in `struct seccomp_data`; the low half of an argument comes first. */
const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;
const ARGUMENTS_OFFSET = 16;

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of linux/audit.h. */
const AUDIT_ARCHITECTURE: Readonly<Record<Architecture, number>> = {
  x64: 0xc000_003e,
  arm64: 0xc000_00b7,
};
/** From here on numbers are x32 calls, which share AUDIT_ARCH_X86_64. */
const X32_BIT = 0x4000_0000;

/**
 * The filter as `struct sock_filter[]`. A call made for another architecture (int 0x80, x32) kills
 * the process: none that we start has a reason to, and its numbers mean something else.
 *
 * @throws {IsolationUnavailableError} when the program has more than 4096 instructions
 * @see seccomp(2)
 */
export function compileSeccomp(filter: SeccompFilter): Uint8Array {
  const code = [...prologue(filter.architecture), ...search(ranges(filter))];
  if (code.length > BPF_INSTRUCTIONS_MAX) {
    throw new IsolationUnavailableError(
      'ENF_ISOLATION_UNAVAILABLE',
      `the seccomp profile compiles to ${code.length} instructions, at most ${BPF_INSTRUCTIONS_MAX} are possible`,
    );
  }
  return encodeBpf(code);
}

function prologue(architecture: Architecture): Code {
  const kill = answer({ do: 'kill-process' });
  const foreign = [
    instruction(BPF.load, ARCHITECTURE_OFFSET),
    branch(BPF.jumpEqual, AUDIT_ARCHITECTURE[architecture], 1, 0),
    kill,
    instruction(BPF.load, NUMBER_OFFSET),
  ];
  return architecture === 'x64'
    ? [...foreign, branch(BPF.jumpGreaterOrEqual, X32_BIT, 0, 1), kill]
    : foreign;
}

/** Consecutive numbers with the same code, from `first` to the next range. */
interface Range {
  readonly first: number;
  readonly code: Code;
}

function ranges(filter: SeccompFilter): readonly Range[] {
  const unknown = [answer(filter.unknownAction)];
  const numbers = [...syscallsOf(filter.architecture).values()].sort((one, two) => one - two);
  const merged: Range[] = [];
  const add = (range: Range) => {
    const before = merged.at(-1);
    if (before === undefined || !sameCode(before.code, range.code)) merged.push(range);
  };
  let next = 0;
  for (const number of numbers) {
    if (number > next) add({ first: next, code: unknown });
    const clauses = filter.syscalls.get(number) ?? [];
    add({ first: number, code: clausesCode(clauses, filter.defaultAction) });
    next = number + 1;
  }
  add({ first: next, code: unknown });
  return merged;
}

function sameCode(one: Code, other: Code): boolean {
  return Buffer.compare(encodeBpf(one), encodeBpf(other)) === 0;
}

/** A tree of comparisons; the accumulator holds the number until a leaf loads an argument. */
function search(sorted: readonly Range[]): Code {
  const [only] = sorted;
  if (sorted.length === 1 && only !== undefined) return only.code;
  const middle = sorted.length >> 1;
  const below = search(sorted.slice(0, middle));
  const from = search(sorted.slice(middle));
  const pivot = sorted[middle]?.first ?? 0;
  if (below.length <= 255) {
    return [branch(BPF.jumpGreaterOrEqual, pivot, below.length, 0), ...below, ...from];
  }
  return [
    branch(BPF.jumpGreaterOrEqual, pivot, 0, 1),
    instruction(BPF.jump, below.length),
    ...below,
    ...from,
  ];
}

/** The clauses one after the other; the first that holds returns, else the default does. */
function clausesCode(clauses: readonly SeccompClause[], defaultAction: SeccompAction): Code {
  const certain = clauses.findIndex((clause) => clause.tests.length === 0);
  const reached = certain === -1 ? clauses : clauses.slice(0, certain + 1);
  const conditional = reached.flatMap((clause) => clauseCode(clause));
  return certain === -1 ? [...conditional, answer(defaultAction)] : conditional;
}

/** Built from its end, so that each test knows how far a failure must jump to get past the clause. */
function clauseCode({ tests, action }: SeccompClause): Code {
  let code: Code = [answer(action)];
  for (const test of tests.toReversed()) code = testCode(test, code.length).concat(code);
  return code;
}

function answer(action: SeccompAction): BpfInstruction {
  return instruction(BPF.return, actionValue(action));
}

/** Where a step of a test goes: to what the clause does next, past the clause, or to the next step. */
type Exit = 'holds' | 'fails' | 'next';
type Step =
  | BpfInstruction
  | { readonly compare: number; readonly operand: number; readonly yes: Exit; readonly no: Exit };

function testCode(test: ArgumentTest, failureDistance: number): Code {
  const steps = testSteps(test);
  return steps.map((step, index) => {
    if (!('compare' in step)) return step;
    const left = steps.length - index - 1;
    const distance = { next: 0, holds: left, fails: left + failureDistance };
    return branch(step.compare, step.operand, distance[step.yes], distance[step.no]);
  });
}

/** BPF compares 32 bits: the high half decides unless it is equal, then the low half does. */
function testSteps({ index, comparison, value, mask }: ArgumentTest): readonly Step[] {
  const offset = ARGUMENTS_OFFSET + index * 8;
  const wanted = value & mask;
  const high = Number(wanted >> 32n);
  const { compare, negated } = COMPARISONS[comparison];
  const yes = negated ? 'fails' : 'holds';
  const no = negated ? 'holds' : 'fails';
  const highSteps: readonly Step[] = [
    ...loadHalf(offset + 4, mask >> 32n),
    ...(compare === BPF.jumpEqual
      ? []
      : [{ compare: BPF.jumpGreater, operand: high, yes, no: 'next' } as const]),
    { compare: BPF.jumpEqual, operand: high, yes: 'next', no },
  ];
  return [
    ...(mask > LOW_BITS ? highSteps : []),
    ...loadHalf(offset, mask & LOW_BITS),
    { compare, operand: Number(wanted & LOW_BITS), yes, no },
  ];
}

function loadHalf(offset: number, mask: bigint): Code {
  const load = instruction(BPF.load, offset);
  return mask === LOW_BITS ? [load] : [load, instruction(BPF.and, Number(mask))];
}

/** BPF has `=`, `>` and `>=`; the others are their opposites. */
const COMPARISONS: Readonly<Record<Comparison, { compare: number; negated: boolean }>> = {
  eq: { compare: BPF.jumpEqual, negated: false },
  ne: { compare: BPF.jumpEqual, negated: true },
  gt: { compare: BPF.jumpGreater, negated: false },
  le: { compare: BPF.jumpGreater, negated: true },
  ge: { compare: BPF.jumpGreaterOrEqual, negated: false },
  lt: { compare: BPF.jumpGreaterOrEqual, negated: true },
};
