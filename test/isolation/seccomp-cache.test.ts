import { expect, test } from 'vitest';
import { loadBuiltinProfile } from '../../src/isolation/seccomp-builtin.ts';
import { FilterCache } from '../../src/isolation/seccomp-cache.ts';
import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import { buildSeccompFilter, type SeccompSituation } from '../../src/isolation/seccomp-rules.ts';

const ISOLATED: SeccompSituation = {
  architecture: 'x64',
  kernel: [6, 1],
  tier: 'isolated',
  exec: 'none',
  sameUid: false,
  landlockAbi: 4,
  selfPid: 1,
  network: 'none',
  sessions: 'allowed',
};
/** Signals are only allowed to itself here: the filter holds the pid. */
const SHARED: SeccompSituation = { ...ISOLATED, tier: 'hardened', sameUid: true };

const compiled = (situation: SeccompSituation, selfPid: number | null) =>
  compileSeccomp(buildSeccompFilter(loadBuiltinProfile('strict'), { ...situation, selfPid }));

test.each([
  ['without the pid in it', ISOLATED, null],
  ['with the pid in it', SHARED, 4321],
])('gives the filter that compiling gives, %s', (_what, situation, pid) => {
  const cache = new FilterCache();
  for (const round of [1, 2]) {
    const { forPid } = cache.of('strict', situation);
    expect([round, Buffer.from(forPid(pid))]).toEqual([
      round,
      Buffer.from(compiled(situation, pid)),
    ]);
  }
});

test('never gives a process the filter of another pid', () => {
  const { forPid } = new FilterCache().of('strict', SHARED);
  expect(Buffer.compare(forPid(5), forPid(6))).not.toBe(0);
  expect(() => forPid(null)).toThrow();
});

test.each([
  ['exec', { exec: 'any' }],
  ['network', { network: 'unrestricted' }],
  ['kernel', { kernel: [5, 13] }],
  ['tier', { tier: 'hardened', sameUid: true }],
  ['abi', { tier: 'hardened', sameUid: true, landlockAbi: 1 }],
] as const)('tells situations apart that differ in %s', (_what, change) => {
  const cache = new FilterCache();
  cache.of('strict', ISOLATED);
  const situation = { ...ISOLATED, ...change };
  const { digest } = cache.of('strict', situation);
  expect(digest).toBe(new FilterCache().of('strict', situation).digest);
});

test('tells profiles apart', () => {
  const cache = new FilterCache();
  const digests = (['strict', 'compat', 'off'] as const).map(
    (name) => cache.of(name, { ...ISOLATED, exec: 'any' }).digest,
  );
  expect(new Set(digests).size).toBe(3);
});

test('compiles a filter once', () => {
  const cache = new FilterCache();
  expect(cache.of('strict', ISOLATED)).toBe(cache.of('strict', { ...ISOLATED }));
});
