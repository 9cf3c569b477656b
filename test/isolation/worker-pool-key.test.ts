import { expect, test } from 'vitest';
import type { Confinement } from '../../src/call.ts';
import type { WorkerSpec } from '../../src/isolation/runner.ts';
import { workerPoolKey } from '../../src/isolation/worker-pool-key.ts';
import { confinement } from '../fixtures/job.ts';

const TARGET = {
  kind: 'module' as const,
  module: '/tools/a.mjs',
  identity: { kind: 'module' as const, path: '/tools/a.mjs', sha256: 'aa' },
};
const SPEC: WorkerSpec = {
  target: TARGET,
  confinement: { ...confinement(), environment: { pass: ['LANG'], set: { A: '1' } } },
};
const CONDITIONS = { tier: 'isolated', inherited: { LANG: 'C', SECRET: 'x' } };

const keyOf = (spec: Partial<WorkerSpec> = {}, conditions: Partial<typeof CONDITIONS> = {}) =>
  workerPoolKey({ ...SPEC, ...spec }, { ...CONDITIONS, ...conditions });
const confined = (change: Partial<Confinement>) => ({
  confinement: { ...SPEC.confinement, ...change },
});
const { limits, environment, filesystem, isolation } = SPEC.confinement;

test.each([
  ['the same call', {}, {}],
  ['another deadline', confined({ limits: { ...limits, wallMs: 5 } }), {}],
  [
    'another export of the module',
    { target: { ...TARGET, export: 'b', identity: { ...TARGET.identity, export: 'b' } } },
    {},
  ],
  ['a variable that does not pass', {}, { inherited: { LANG: 'C', SECRET: 'y' } }],
  ['the same demands in another order', confined({ explicit: new Set(['b', 'a']) }), {}],
])('is the same for %s', (what, spec, conditions) => {
  const base = what.includes('order')
    ? keyOf(confined({ explicit: new Set(['a', 'b']) }))
    : keyOf();
  expect(keyOf(spec, conditions)).toBe(base);
});

test.each([
  ['tier', {}, { tier: 'hardened' }],
  [
    'bytes of the tool',
    { target: { ...TARGET, identity: { ...TARGET.identity, sha256: 'ab' } } },
    {},
  ],
  ['path of the tool', { target: { ...TARGET, module: '/tools/b.mjs' } }, {}],
  ['value of a variable that passes', {}, { inherited: { LANG: 'de', SECRET: 'x' } }],
  ['absence of a variable that passes', {}, { inherited: { SECRET: 'x' } as never }],
  ['variable that is set', confined({ environment: { ...environment, set: { A: '2' } } }), {}],
  ['memory', confined({ limits: { ...limits, memoryBytes: 5 } }), {}],
  ['memory, none', confined({ limits: { ...limits, memoryBytes: Number.NaN } }), {}],
  ['output', confined({ limits: { ...limits, outputBytes: 5 } }), {}],
  ['read', confined({ filesystem: { ...filesystem, read: ['/a'] } }), {}],
  ['write', confined({ filesystem: { ...filesystem, write: ['/a'] } }), {}],
  ['deny', confined({ filesystem: { ...filesystem, deny: ['/a'] } }), {}],
  ['execute', confined({ filesystem: { ...filesystem, execute: ['/a'] } }), {}],
  ['network', confined({ network: 'none' }), {}],
  ['network: domains', confined({ network: { allowedDomains: ['a'], deniedDomains: [] } }), {}],
  ['profile', confined({ isolation: { ...isolation, profile: 'strict' } }), {}],
  ['exec', confined({ isolation: { ...isolation, exec: 'none' } }), {}],
  ['reuse', confined({ isolation: { ...isolation, reuse: 2 } }), {}],
  ['demands', confined({ explicit: new Set(['network']) }), {}],
] as const)('differs with %s', (_what, spec, conditions) => {
  expect(keyOf(spec, conditions)).not.toBe(keyOf());
});

test('is none for a command, which runs from the moment it is started', () => {
  const identity = { kind: 'command' as const, path: '/bin/sh', sha256: 'aa' };
  const target = { kind: 'command' as const, program: '/bin/sh', args: [], identity };
  expect(keyOf({ target })).toBeNull();
});

test('is none for a module whose bytes are not known', () => {
  const { sha256: _unknown, ...identity } = TARGET.identity;
  expect(keyOf({ target: { ...TARGET, identity } })).toBeNull();
});
