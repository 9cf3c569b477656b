import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BuiltinProfile, loadBuiltinProfile } from '../../src/isolation/seccomp-builtin.ts';
import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import type {
  ArgumentTest,
  SeccompAction,
  SeccompClause,
  SeccompFilter,
} from '../../src/isolation/seccomp-filter.ts';
import { buildSeccompFilter, type SeccompSituation } from '../../src/isolation/seccomp-rules.ts';
import { type Architecture, syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { AUDIT_ARCH, runBpf } from './bpf-interpreter.ts';
import { cornerArguments, judge } from './seccomp-reference.ts';

const ARCHITECTURES: readonly Architecture[] = ['x64', 'arm64'];
const PROFILES: readonly BuiltinProfile[] = ['strict', 'compat', 'off'];
const ANY_ARGUMENTS = [0n, 0n, 0n, 0n, 0n, 0n];

/** Asks the program and the reference about every call and every corner; returns the questions. */
function checkEverywhere(filter: SeccompFilter): number {
  const program = compileSeccomp(filter);
  const auditArchitecture = AUDIT_ARCH[filter.architecture];
  let questions = 0;
  const ask = (number: number, args: readonly bigint[]) => {
    const data = { number, auditArchitecture, args };
    const [actual, wanted] = [runBpf(program, data), judge(filter, data)];
    if (actual !== wanted) throw new Error(`${number}(${args}): ${actual}, not ${wanted}`);
    questions++;
  };
  for (const number of syscallsOf(filter.architecture).values()) {
    const tests = (filter.syscalls.get(number) ?? []).flatMap((clause) => clause.tests);
    for (const args of cornerArguments(tests)) ask(number, args);
  }
  for (let number = 336; number < 700; number++) ask(number, ANY_ARGUMENTS);
  for (const number of [0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff]) {
    ask(number, ANY_ARGUMENTS);
  }
  return questions;
}

function* situations(architecture: Architecture): Generator<SeccompSituation> {
  for (const tier of ['hardened', 'isolated'] as const) {
    for (const landlockAbi of [1, 3, 7]) {
      for (const network of ['none', 'domains', 'unrestricted'] as const) {
        for (const restricted of [true, false]) {
          yield {
            architecture,
            kernel: [6, 1],
            tier,
            landlockAbi,
            network,
            exec: restricted ? 'none' : 'any',
            sessions: restricted ? 'denied' : 'allowed',
            sameUid: restricted,
            selfPid: 4242,
          };
        }
      }
    }
  }
}

describe.each(ARCHITECTURES)('on %s', (architecture) => {
  test.each(PROFILES)(
    'the program of `%s` means what its rules say, in every situation',
    (name) => {
      const profile = loadBuiltinProfile(name);
      for (const situation of situations(architecture)) {
        expect(checkEverywhere(buildSeccompFilter(profile, situation))).toBeGreaterThan(900);
      }
    },
  );

  test('every filter means what its clauses say', () => {
    fc.assert(
      fc.property(anyFilter(architecture), (filter) => {
        checkEverywhere(filter);
      }),
      { numRuns: 40 },
    );
  });

  test('a call of another architecture kills the process', () => {
    const filter = buildSeccompFilter(loadBuiltinProfile('off'), {
      ...([...situations(architecture)][0] as SeccompSituation),
    });
    const program = compileSeccomp(filter);
    for (const auditArchitecture of Object.values(AUDIT_ARCH)) {
      if (auditArchitecture === AUDIT_ARCH[architecture]) continue;
      const data = { number: 0, auditArchitecture, args: ANY_ARGUMENTS };
      expect(runBpf(program, data)).toBe(0x80000000);
    }
  });
});

test('an x32 call kills the process', () => {
  const program = compileSeccomp(emptyFilter({ do: 'allow' }));
  const data = { number: 0x40000000 + 41, auditArchitecture: AUDIT_ARCH.x64, args: ANY_ARGUMENTS };
  expect(runBpf(program, data)).toBe(0x80000000);
});

test('a profile that compiles to more than the kernel takes is refused', () => {
  const clause = (value: number): SeccompClause => ({
    tests: [{ index: 0, comparison: 'eq', value: BigInt(value), mask: 2n ** 64n - 1n }],
    action: { do: 'allow' },
  });
  const many = Array.from({ length: 1000 }, (_, index) => clause(index));
  const filter = { ...emptyFilter({ do: 'allow' }), syscalls: new Map([[0, many]]) };
  expect(() => compileSeccomp(filter)).toThrow(/compiles to \d+ instructions, at most 4096/);
});

test('the lookup needs few steps for every call', () => {
  const profile = loadBuiltinProfile('strict');
  const [situation] = [...situations('x64')];
  const filter = buildSeccompFilter(profile, situation as SeccompSituation);
  const loadsAndBranches = compileSeccomp(filter).length / 8;
  expect(loadsAndBranches).toBeLessThan(800);
});

function emptyFilter(action: SeccompAction): SeccompFilter {
  return {
    architecture: 'x64',
    syscalls: new Map(),
    defaultAction: action,
    unknownAction: action,
  };
}

function anyFilter(architecture: Architecture): fc.Arbitrary<SeccompFilter> {
  const half = fc.constantFrom(0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn);
  const word = fc.tuple(half, half).map(([high, low]) => (high << 32n) | low);
  const argument: fc.Arbitrary<ArgumentTest> = fc.record({
    index: fc.nat(5),
    comparison: fc.constantFrom('eq', 'ne', 'lt', 'le', 'gt', 'ge'),
    value: word,
    mask: word,
  });
  const action: fc.Arbitrary<SeccompAction> = fc.constantFrom<SeccompAction>(
    { do: 'allow' },
    { do: 'errno', errno: 1 },
    { do: 'errno', errno: 38 },
    { do: 'log' },
    { do: 'trap' },
    { do: 'kill-thread' },
    { do: 'kill-process' },
  );
  const clause = fc.record({ tests: fc.array(argument, { maxLength: 2 }), action });
  const numbers = fc.constantFrom(...syscallsOf(architecture).values());
  return fc.record({
    architecture: fc.constant(architecture),
    syscalls: fc
      .array(fc.tuple(numbers, fc.array(clause, { minLength: 1, maxLength: 2 })), { maxLength: 12 })
      .map((entries) => new Map(entries)),
    defaultAction: action,
    unknownAction: action,
  });
}
