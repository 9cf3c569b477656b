import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { openTrail } from '../../src/audit/index.ts';
import { CallEnforcer } from '../../src/enforce/call-enforcer.ts';
import type { Runner } from '../../src/isolation/index.ts';
import { loadPolicy } from '../../src/policy/index.ts';
import { createKillSwitch, memoryStore } from '../../src/usage/index.ts';
import { tool } from '../fixtures/job.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';
import { entriesOf } from '../fixtures/trail.ts';

/** A runner with a fault in it: what must never happen, and must not lose an outcome if it does. */
const brokenRunner: Runner = {
  tier: 'process',
  layers: [],
  enforces: new Set(),
  run: async () => {
    throw new TypeError('password hunter2 is not a function');
  },
  close: async () => {},
};

test('a fault of ours ends the call as crashed, with its outcome entry, and frees its slot', async () => {
  const path = join(testFolder(), 'trail');
  const limits = { max_concurrent_calls: 1 };
  const enforcer = new CallEnforcer({
    policy: await loadPolicy({ name: 'test', resource_limits: limits }),
    trail: await openTrail({ path }),
    patterns: undefined,
    rules: [],
    basePolicy: null,
    protectedPaths: [],
    store: memoryStore(),
    logger: pino({ level: 'silent' }),
    killSwitch: createKillSwitch(),
    tiers: { runners: [brokenRunner], shortfalls: [], pool: null },
  });
  for (let call = 0; call < 2; call += 1) {
    const outcome = await enforcer.run(tool('add.mjs'));
    expect(outcome).toMatchObject({ status: 'crashed', error: { code: 'ENF_INTERNAL' } });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
    expect((outcome as { error: Error }).error.cause).toBeInstanceOf(TypeError);
  }
  await enforcer.close();
  const ends = entriesOf(path).map(({ type, status }) => status ?? type);
  expect(ends).toEqual(['decision', 'crashed', 'decision', 'crashed']);
});
