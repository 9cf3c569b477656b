import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runIsolated } from '../../src/enforce/index.ts';
import { tool } from '../fixtures/job.ts';
import { eventually } from '../fixtures/observe.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';
import { entriesOf } from '../fixtures/trail.ts';

const isolation = { level: 'process' };

test('runs one tool under a policy, with a trail', async () => {
  const path = join(testFolder(), 'trail');
  const policy = { name: 'once', isolation };
  const outcome = await runIsolated<number>(
    tool('add.mjs'),
    { a: 1, b: 2 },
    { policy, audit: { path } },
  );
  expect(outcome).toMatchObject({ status: 'ok', value: 3, tool: 'add' });
  expect(entriesOf(path)).toHaveLength(2);
});

test('calls of one process share their counters', async () => {
  const policy = { name: 'shared-slot', isolation, resource_limits: { max_concurrent_calls: 1 } };
  const file = join(testFolder(), 'running');
  const stop = new AbortController();
  const options = { policy, audit: false } as const;
  const first = runIsolated(
    tool('mark-and-wait.mjs'),
    { file },
    { ...options, signal: stop.signal },
  );
  await eventually(() => existsSync(file));
  const second = await runIsolated(tool('add.mjs'), { a: 1, b: 1 }, options);
  expect(second).toMatchObject({ status: 'denied', error: { code: 'ENF_DENIED_CONCURRENCY' } });
  stop.abort();
  await first;
  expect(await runIsolated(tool('add.mjs'), { a: 1, b: 1 }, options)).toMatchObject({ value: 2 });
});

test('throws for a bad policy or option, and leaves nothing open', async () => {
  const before = process.listenerCount('SIGUSR1');
  await expect(runIsolated(tool('add.mjs'), {}, { policy: { nam: 'x' } })).rejects.toMatchObject({
    code: 'ENF_POLICY_INVALID',
  });
  const misspelt = { policy: { name: 'x' }, audit: false, timeoutms: 5 } as object;
  await expect(runIsolated(tool('add.mjs'), {}, misspelt)).rejects.toMatchObject({
    code: 'ENF_CALL_ARGUMENT',
  });
  expect(process.listenerCount('SIGUSR1')).toBe(before);
});

test('thirty at a time warn of nothing', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const policy = { name: 'many', denied_tools: ['*'] };
  const options = { policy, audit: false } as const;
  await Promise.all(Array.from({ length: 30 }, () => runIsolated(tool('add.mjs'), {}, options)));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
