import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import type { SeccompFilter } from '../../src/isolation/seccomp-filter.ts';
import { parseSeccompProfile, profileClauses } from '../../src/isolation/seccomp-profile.ts';
import { type Architecture, syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { AUDIT_ARCH, runBpf } from './bpf-interpreter.ts';
import { lacks } from './launched-program.ts';
import { cornerArguments } from './seccomp-reference.ts';

// The same profile through our compiler and through libseccomp; both programs are then asked about
// every system call with every combination of corner values of the arguments that any rule tests.

const ARCHITECTURES: readonly Architecture[] = ['x64', 'arm64'];
const present =
  existsSync('/usr/include/seccomp.h') && spawnSync('gcc', ['--version']).status === 0;
const absent = lacks('libseccomp', present);

interface OciArgument {
  readonly index: number;
  readonly value: number | string;
  readonly valueTwo?: number | string;
  readonly op: string;
}
interface OciProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly OciArgument[];
  }[];
}

/** `enum scmp_compare` of seccomp.h. */
const OPERATORS = ['', 'NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'];
const ACTION_VALUES: Readonly<Record<string, number>> = {
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
};

const folder = mkdtempSync(join(tmpdir(), 'libseccomp-'));
const program = join(folder, 'export');
afterAll(() => rmSync(folder, { recursive: true }));

function ociAction(name: string, errno: number | undefined): number {
  return name === 'SCMP_ACT_ERRNO' ? 0x50000 | (errno ?? 1) : (ACTION_VALUES[name] ?? -1);
}

/** As runc does it: a rule that repeats the default is left out. */
function rulesText(profile: OciProfile): string {
  const defaultAction = ociAction(profile.defaultAction, profile.defaultErrnoRet);
  return profile.syscalls
    .map((rule) => ({ ...rule, value: ociAction(rule.action, rule.errnoRet) }))
    .filter(({ value }) => value !== defaultAction)
    .flatMap(({ names, value, args = [] }) =>
      names.map((name) => {
        const tests = args.map(
          (arg) =>
            `${arg.index} ${OPERATORS.indexOf(arg.op.slice(9))} ${arg.value} ${arg.valueTwo ?? 0}`,
        );
        return `${value} ${name} ${args.length} ${tests.join(' ')}\n`;
      }),
    )
    .join('');
}

function libseccomp(profile: OciProfile, architecture: Architecture, optimize: 1 | 2) {
  const defaultAction = ociAction(profile.defaultAction, profile.defaultErrnoRet);
  const run = spawnSync(program, [architecture, String(defaultAction), String(optimize)], {
    input: rulesText(profile),
  });
  expect(run).toMatchObject({ status: 0 });
  const unknown = new Set(run.stderr.toString().split('\n'));
  return { bpf: run.stdout, unknown };
}

/** Compares both programs everywhere; returns how many questions were asked. */
function compare(json: OciProfile, architecture: Architecture, optimize: 1 | 2): number {
  const profile = parseSeccompProfile(json);
  const filter: SeccompFilter = {
    architecture,
    syscalls: profileClauses(profile, architecture, [6, 18]),
    defaultAction: profile.defaultAction,
    unknownAction: profile.defaultAction,
  };
  const ours = compileSeccomp(filter);
  const { bpf: theirs, unknown } = libseccomp(json, architecture, optimize);
  const auditArchitecture = AUDIT_ARCH[architecture];
  let questions = 0;
  const ask = (number: number, args: readonly bigint[], arch = auditArchitecture) => {
    const data = { number, auditArchitecture: arch, args };
    const answers = [runBpf(ours, data), runBpf(theirs, data)];
    if (answers[0] !== answers[1])
      throw new Error(`${JSON.stringify({ number, arch })}: ${answers} for ${args}`);
    questions++;
  };
  for (const [name, number] of syscallsOf(architecture)) {
    if (unknown.has(name)) continue;
    const tests = (filter.syscalls.get(number) ?? []).flatMap((clause) => clause.tests);
    for (const args of cornerArguments(tests)) ask(number, args);
  }
  for (const number of [400, 600, 0x3fffffff, 0x40000000, 0x40000001, 0xfffffffe]) {
    ask(number, [0n, 0n, 0n, 0n, 0n, 0n]);
  }
  for (const number of [0, 1, 59, 221]) {
    ask(number, [0n, 0n, 0n, 0n, 0n, 0n], AUDIT_ARCH.i386);
  }
  return questions;
}

describe.skipIf(absent)('our programs answer as those of libseccomp', () => {
  beforeAll(() => {
    const source = 'test/isolation/libseccomp-export.c';
    execFileSync('gcc', ['-Wall', '-Werror', '-o', program, source, '-lseccomp']);
  });

  describe.each(ARCHITECTURES)('on %s', (architecture) => {
    test.each(['strict', 'compat', 'off'])('for the profile %s', (name) => {
      const json = JSON.parse(readFileSync(`sandbox-profiles/${name}.json`, 'utf8'));
      for (const optimize of [1, 2] as const) {
        expect(compare(json, architecture, optimize)).toBeGreaterThan(300);
      }
    });

    test('for any profile', () => {
      const { ENFORCECORE_TEST_SLOW } = process.env;
      const runs = ENFORCECORE_TEST_SLOW === '1' ? 2000 : 60;
      fc.assert(
        fc.property(anyProfile(architecture), (profile) => {
          compare(profile, architecture, 2);
        }),
        { numRuns: runs },
      );
    }, 120_000);
  });
});

const CORNERS = [
  0n,
  1n,
  2n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/**
 * Profiles with one rule per call and any operators, or several that test one argument for equality.
 * Where rules of one call overlap, libseccomp 2.5.4 forgets answers: of `a0 >= x` and `a1 != 0 && a0
 * <= x` it denies (x, 0), which the first allows. There our compiler is held to the reference alone.
 */
function anyProfile(architecture: Architecture): fc.Arbitrary<OciProfile> {
  const word = fc.oneof(fc.constantFrom(...CORNERS), fc.bigInt(0n, 2n ** 64n - 1n)).map(String);
  const argument = fc.record({
    index: fc.nat(5),
    value: word,
    valueTwo: word,
    op: fc.constantFrom(...OPERATORS.slice(1).map((name) => `SCMP_CMP_${name}`)),
  });
  const args = fc.uniqueArray(argument, { selector: ({ index }) => index, maxLength: 3 });
  const alternatives = fc
    .record({ index: fc.nat(5), values: fc.uniqueArray(word, { minLength: 2, maxLength: 5 }) })
    .map(({ index, values }) => values.map((value) => [{ index, value, op: 'SCMP_CMP_EQ' }]));
  const rulesOfOneCall = fc.oneof(
    args.map((one) => [one]),
    alternatives,
  );
  const names = [...syscallsOf(architecture).keys()].filter((name) => !newer.has(name));
  return fc.record({
    defaultAction: fc.constantFrom('SCMP_ACT_ERRNO', 'SCMP_ACT_TRAP', 'SCMP_ACT_ALLOW'),
    defaultErrnoRet: fc.nat(4094),
    syscalls: fc
      .tuple(
        fc.constantFrom('SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_KILL_PROCESS'),
        fc.uniqueArray(fc.tuple(fc.constantFrom(...names), rulesOfOneCall), {
          selector: ([name]) => name,
          maxLength: 20,
        }),
      )
      .map(([action, calls]) =>
        calls.flatMap(([name, rules]) =>
          rules.map((each) => ({ names: [name], action, args: each })),
        ),
      ),
  });
}

/** Calls of kernels newer than any libseccomp that is asked. */
const newer = new Set(
  [...syscallsOf('x64')]
    .filter(([, number]) => number > 450 || number === 335)
    .map(([name]) => name),
);
