import { describe, expect, test } from 'vitest';
import type { Confinement, Tier } from '../../src/call.ts';
import { type CallLimits, tighten } from '../../src/enforce/tighten.ts';
import { confinement } from '../fixtures/job.ts';

const HELD = confinement({ wallMs: 1000, memoryBytes: 2 ** 30, outputBytes: 100 });

test('without options the policy stands as it is', () => {
  expect(tighten(HELD, {})).toEqual(HELD);
});

test('what a call sets is applied, and demanded', () => {
  const options = { timeoutMs: 10, memoryBytes: 2 ** 20, outputBytes: 0 };
  const { limits, explicit } = tighten(HELD, options);
  expect(limits).toMatchObject({ wallMs: 10, memoryBytes: 2 ** 20, outputBytes: 0 });
  expect([...explicit].sort()).toEqual([
    'resource_limits.max_call_duration_seconds',
    'resource_limits.max_memory_mb',
    'resource_limits.max_output_size_bytes',
  ]);
});

test('the policy itself is never changed', () => {
  const copy = () => structuredClone({ ...HELD, explicit: [...HELD.explicit] });
  const before = copy();
  tighten(HELD, { timeoutMs: 1, isolation: 'isolated' });
  expect(copy()).toEqual(before);
});

test('a limit may be as high as the policy, and not higher', () => {
  expect(tighten(HELD, { timeoutMs: 1000 }).limits.wallMs).toBe(1000);
  expect(() => tighten(HELD, { timeoutMs: 1001 })).toThrow(
    expect.objectContaining({
      code: 'ENF_CALL_LOOSER',
      message: expect.stringContaining('`timeoutMs` is 1001'),
      details: expect.objectContaining({ held: 1000 }),
    }),
  );
});

test('any limit is tighter than none', () => {
  const free = confinement({ wallMs: Number.POSITIVE_INFINITY });
  expect(tighten(free, { timeoutMs: 5 }).limits.wallMs).toBe(5);
});

describe('the tier', () => {
  const at = (isolation: Partial<Confinement['isolation']>): Confinement => ({
    ...HELD,
    isolation: { ...HELD.isolation, ...isolation },
  });

  test.each<[Partial<Confinement['isolation']>, Tier, Tier | 'refused']>([
    [{ level: 'auto', min: 'process' }, 'process', 'process'],
    [{ level: 'auto', min: 'process' }, 'isolated', 'isolated'],
    [{ level: 'auto', min: 'process' }, 'thread', 'refused'],
    [{ level: 'hardened', min: 'thread' }, 'process', 'refused'],
    [{ level: 'process', min: 'thread' }, 'hardened', 'hardened'],
  ])('of a policy with %o, asked for %s, is %s', (isolation, asked, result) => {
    const tightened = () => tighten(at(isolation), { isolation: asked }).isolation.level;
    if (result === 'refused') expect(tightened).toThrow('options may only tighten');
    else expect(tightened()).toBe(result);
  });
});

test.each<[string, unknown]>([
  ['a timeout of zero', { timeoutMs: 0 }],
  ['a negative timeout', { timeoutMs: -1 }],
  ['a timeout that is no number', { timeoutMs: '10' }],
  ['a timeout that is NaN', { timeoutMs: Number.NaN }],
  ['a timeout without end', { timeoutMs: Number.POSITIVE_INFINITY }],
  ['a fraction', { timeoutMs: 1.5 }],
  ['less memory than any program needs', { memoryBytes: 1000 }],
  ['a tier that does not exist', { isolation: 'vm' }],
  ['no tier at all', { isolation: 'none' }],
  ['an option that does not exist', { timeout: 5 }],
])('refuses %s', (_kind, options) => {
  expect(() => tighten(HELD, options as CallLimits)).toThrow(
    expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
  );
});
