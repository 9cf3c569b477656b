import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { createEnforcer } from '../../src/enforce/index.ts';
import { tool } from '../fixtures/job.ts';
import { eventually } from '../fixtures/observe.ts';
import { openEnforcer } from '../fixtures/open-enforcer.ts';

const scratches = () =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`enforcecore-${process.pid}-`));

describe('the option `pool`', () => {
  test.each([
    true,
    null,
    4,
    { workersMax: 0 },
    { workersMax: 1.5 },
    { workersMax: 257 },
    { workersMax: Number.NaN },
    { workersMax: undefined },
    { memoryMbMax: 0 },
    { memoryMbMax: Number.POSITIVE_INFINITY },
    { idleMs: 999 },
    { idleMs: 90_000_000 },
    { workers: 4 },
  ])('is refused when it is %j', async (pool) => {
    await expect(createEnforcer({ audit: false, pool: pool as never })).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
  });

  test('`false` prepares nothing', async () => {
    const { enforcer } = await openEnforcer({}, { pool: false });
    await enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
    expect(scratches()).toEqual([]);
  });
});

test('a call after the first finds its worker ready, and its outcome is the same', async () => {
  const { enforcer, entries } = await openEnforcer();
  const first = await enforcer.run(tool('leave-traces.mjs'), { secret: 'one' });
  await eventually(() => scratches().length === 1);
  const second = await enforcer.run(tool('leave-traces.mjs'), { secret: 'two' });
  expect(second).toMatchObject({ status: 'ok', value: (first as { value: unknown }).value });
  expect(second.isolation).toEqual(first.isolation);
  expect(entries().filter(({ type }) => type === 'outcome')).toHaveLength(2);
});

test('a reload ends what was prepared, before it resolves', async () => {
  const isolation = { level: 'process' };
  const { enforcer } = await openEnforcer();
  await enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
  await eventually(() => scratches().length === 1);
  const [old = ''] = scratches();
  await enforcer.reload({ name: 'test', isolation, environment: { set: { ADDED: 'yes' } } });
  expect(existsSync(`${tmpdir()}/${old}`)).toBe(false);
  const { value } = (await enforcer.run(tool('read-environment.mjs'))) as never;
  expect(value).toMatchObject({ ADDED: 'yes' });
});

test('a reused worker is named in outcome and trail', async () => {
  const { enforcer, entries } = await openEnforcer({ isolation: { level: 'process', reuse: 3 } });
  const reused: boolean[] = [];
  for (let call = 0; call < 4; call += 1) {
    const { isolation, status } = await enforcer.run(tool('linger.mjs'));
    expect(status).toBe('ok');
    reused.push(isolation.layers.includes('worker-reused'));
  }
  expect(reused).toEqual([false, true, true, false]);
  const written = entries().filter((entry) => JSON.stringify(entry).includes('worker-reused'));
  expect(written).toHaveLength(2);
});

test('close ends what was prepared', async () => {
  const { enforcer } = await openEnforcer();
  await enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
  await eventually(() => scratches().length === 1);
  await enforcer.close();
  expect(scratches()).toEqual([]);
});
