import { describe, expect, test } from 'vitest';
import { ALL_BITS } from '../../src/isolation/seccomp-filter.ts';
import { parseSeccompProfile, profileClauses } from '../../src/isolation/seccomp-profile.ts';
import { syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';

const ALLOW = 'SCMP_ACT_ALLOW';
const ERRNO = 'SCMP_ACT_ERRNO';

function profile(syscalls: readonly unknown[], rest: Record<string, unknown> = {}) {
  return { defaultAction: ERRNO, syscalls, ...rest };
}

function clausesOf(json: unknown, name: string, kernel: readonly [number, number] = [6, 1]) {
  const clauses = profileClauses(parseSeccompProfile(json), 'x64', kernel);
  return clauses.get(syscallsOf('x64').get(name) ?? -1);
}

function problemsOf(json: unknown): readonly string[] {
  try {
    parseSeccompProfile(json);
  } catch (error) {
    expect(error).toMatchObject({ name: 'PolicyError', code: 'ENF_POLICY_INVALID' });
    return (error as { details: { problems: string[] } }).details.problems;
  }
  throw new Error('the profile was accepted');
}

describe('parseSeccompProfile', () => {
  test.each<[string, unknown]>([
    ['no object', 'SCMP_ACT_ALLOW'],
    ['null', null],
    ['no default action', { syscalls: [] }],
    ['an unknown key', { defaultAction: ERRNO, syscall: [] }],
    ['an unknown key of a rule', profile([{ name: 'read', action: ALLOW, names: ['read'] }])],
    ['an unknown action', profile([{ names: ['read'], action: 'SCMP_ACT_PERMIT' }])],
    ['an action that needs a tracer', profile([{ names: ['read'], action: 'SCMP_ACT_TRACE' }])],
    ['an action that needs a listener', { defaultAction: 'SCMP_ACT_NOTIFY' }],
    ['no names', profile([{ names: [], action: ALLOW }])],
    ['a name that is no text', profile([{ names: [1], action: ALLOW }])],
    ['an errno beyond 4095', profile([{ names: ['read'], action: ERRNO, errnoRet: 4096 }])],
    ['a negative errno', { defaultAction: ERRNO, defaultErrnoRet: -1 }],
    ['an argument that does not exist', withArgument({ index: 6 })],
    ['an unknown operator', withArgument({ op: 'SCMP_CMP_LIKE' })],
    ['a negative value', withArgument({ value: -1 })],
    ['a value that is not exact', withArgument({ value: 2 ** 60 })],
    ['a value beyond 64 bits', withArgument({ value: '18446744073709551616' })],
    ['a value in hexadecimal', withArgument({ value: '0x10' })],
    [
      'two tests of one argument, which runc and libseccomp take differently',
      profile([{ names: ['read'], action: ALLOW, args: [argument({}), argument({})] }]),
    ],
    ['a minimal kernel that is no version', withCondition({ minKernel: '4' })],
  ])('refuses %s', (_, json) => {
    expect(problemsOf(json).length).toBeGreaterThan(0);
  });

  test('lists every problem with its place', () => {
    expect(
      problemsOf(
        profile([
          { names: ['read'], action: 'no' },
          { names: 7, action: ALLOW },
        ]),
      ),
    ).toEqual([
      expect.stringMatching(/^syscalls\.0\.action: /),
      expect.stringMatching(/^syscalls\.1\.names: /),
    ]);
  });

  test('warns of an unknown name that would be allowed', () => {
    const json = profile([{ names: ['read', 'chown32'], action: ALLOW }]);
    expect(parseSeccompProfile(json).warnings).toEqual([
      'syscalls.0: unknown system call `chown32`',
    ]);
  });

  test.each([ERRNO, 'SCMP_ACT_KILL', 'SCMP_ACT_LOG', 'SCMP_ACT_TRAP'])(
    'refuses an unknown name in a rule of %s: it would stay open',
    (action) => {
      const json = { defaultAction: ALLOW, syscalls: [{ names: ['ptrcae'], action }] };
      expect(problemsOf(json)).toEqual(['syscalls.0: unknown system call `ptrcae`']);
    },
  );

  test('takes 64-bit values as decimal text', () => {
    expect(clausesOf(withArgument({ value: '18446744073709551615' }), 'read')).toMatchObject([
      { tests: [{ value: ALL_BITS }] },
    ]);
  });
});

describe('profileClauses', () => {
  test('reads a masked comparison as mask and value', () => {
    const json = withArgument({ op: 'SCMP_CMP_MASKED_EQ', value: 255, valueTwo: 3 });
    expect(clausesOf(json, 'read')).toEqual([
      {
        action: { do: 'allow' },
        tests: [{ index: 0, comparison: 'eq', value: 3n, mask: 255n }],
      },
    ]);
  });

  test('lets a rule without arguments win over those with, in either order', () => {
    const all = { names: ['read'], action: ALLOW };
    const some = { ...all, args: [argument({})] };
    const certain = [{ tests: [], action: { do: 'allow' } }];
    expect(clausesOf(profile([all, some]), 'read')).toEqual(certain);
    expect(clausesOf(profile([some, all]), 'read')).toEqual(certain);
  });

  test('keeps rules with arguments as alternatives', () => {
    const rule = (value: number) => ({
      names: ['read'],
      action: ALLOW,
      args: [argument({ value })],
    });
    expect(clausesOf(profile([rule(1), rule(2)]), 'read')).toHaveLength(2);
  });

  test('drops a rule that repeats the default', () => {
    const json = profile([{ names: ['read'], action: ERRNO, errnoRet: 1 }]);
    expect(clausesOf(json, 'read')).toBeUndefined();
  });

  test('refuses conditional rules with different actions for one call', () => {
    const rules = [ALLOW, 'SCMP_ACT_LOG'].map((action, value) => ({
      names: ['read'],
      action,
      args: [argument({ value })],
    }));
    expect(() => clausesOf(profile(rules), 'read')).toThrow(/`read`: rules with arguments/);
  });

  test('refuses a profile for other architectures', () => {
    const json = profile([], { architectures: ['SCMP_ARCH_AARCH64'] });
    expect(() => clausesOf(json, 'read')).toThrow(
      /for SCMP_ARCH_AARCH64, not for SCMP_ARCH_X86_64/,
    );
  });

  test('takes the architectures of Docker’s archMap', () => {
    const map = (architecture: string) => ({ archMap: [{ architecture, subArchitectures: [] }] });
    expect(() => clausesOf(profile([], map('SCMP_ARCH_X86_64')), 'read')).not.toThrow();
    expect(() => clausesOf(profile([], map('SCMP_ARCH_S390X')), 'read')).toThrow(/SCMP_ARCH_S390X/);
  });

  test.each<[string, object, boolean]>([
    ['includes a capability: no tool has one', { includes: { caps: ['CAP_SYS_ADMIN'] } }, false],
    ['excludes a capability', { excludes: { caps: ['CAP_SYS_ADMIN'] } }, true],
    ['includes this architecture', { includes: { arches: ['amd64', 'x32'] } }, true],
    ['includes another', { includes: { arches: ['s390x'] } }, false],
    ['excludes this architecture', { excludes: { arches: ['amd64'] } }, false],
    ['excludes another', { excludes: { caps: ['CAP_BPF'], arches: ['s390x'] } }, true],
    ['needs an older kernel', { includes: { minKernel: '4.8' } }, true],
    ['needs this kernel', { includes: { minKernel: '6.1' } }, true],
    ['needs a newer minor', { includes: { minKernel: '6.2' } }, false],
    ['needs a newer major', { includes: { minKernel: '7.0' } }, false],
    ['has empty conditions', { includes: {}, excludes: { caps: [], arches: [] } }, true],
    [
      'includes this architecture and a capability',
      { includes: { arches: ['amd64'], caps: ['CAP_BPF'] } },
      false,
    ],
  ])('a Docker rule that %s', (_, conditions, applies) => {
    const json = profile([{ names: ['read'], action: ALLOW, ...conditions }]);
    expect(clausesOf(json, 'read') !== undefined).toBe(applies);
  });
});

function argument(changes: object): object {
  return { index: 0, value: 1, op: 'SCMP_CMP_EQ', ...changes };
}

function withArgument(changes: object): object {
  return profile([{ names: ['read'], action: ALLOW, args: [argument(changes)] }]);
}

function withCondition(includes: object): object {
  return profile([{ names: ['read'], action: ALLOW, includes }]);
}
