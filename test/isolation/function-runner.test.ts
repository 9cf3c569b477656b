import { expect, test } from 'vitest';
import { FunctionRunner } from '../../src/isolation/function-runner.ts';
import type { FunctionCall } from '../../src/isolation/tool-target.ts';
import { makeJob, tool } from '../fixtures/job.ts';

const runner = new FunctionRunner();

/** A job that calls a function of this process. */
async function functionJob(
  invoke: (args: unknown, call: FunctionCall) => unknown,
  args: unknown = {},
  limits: { wallMs?: number } = {},
) {
  const job = await makeJob(tool('add.mjs'), args, limits);
  const identity = { kind: 'function', path: 'test' } as const;
  return { ...job, target: { kind: 'function', identity, invoke } as const };
}

const run = async (...call: Parameters<typeof functionJob>) =>
  runner.run(await functionJob(...call));

test('gives the value of a function, sync or not, of any kind', async () => {
  const map = new Map([[1, 2]]);
  expect((await run(() => map)).end).toEqual({ status: 'ok', value: map });
  expect((await run(async () => undefined)).end).toEqual({ status: 'ok', value: undefined });
});

test('gives the function arguments of its own', async () => {
  const job = await functionJob((args) => Object.assign(args as object, { a: 2 }), { a: 1 });
  await runner.run(job);
  expect(job.argsJson).toBe('{"a":1}');
});

test.each<[string, unknown, string]>([
  ['an error', new TypeError('no'), 'TypeError: no'],
  ['a text', 'no', 'no'],
  ['nothing', undefined, 'undefined'],
  [
    'an object without a text',
    Object.create(null),
    'the function threw a value that cannot be read',
  ],
])('ends as tool-error when the function throws %s', async (_kind, thrown, message) => {
  const { end } = await run(() => {
    throw thrown;
  });
  expect(end).toEqual({ status: 'tool-error', code: 'ENF_TOOL_FAILED', message });
});

test('ends a function that never settles at its deadline, after a warning', async () => {
  const seen: unknown[] = [];
  const { end } = await run(
    (_args, { signal }) =>
      new Promise(() => {
        signal.addEventListener('abort', () => seen.push(signal.reason.message));
      }),
    {},
    { wallMs: 60 },
  );
  expect(end).toMatchObject({ status: 'timeout', code: 'ENF_LIMIT_WALL', limit: 'wall' });
  expect(seen).toEqual(['the deadline is near']);
});

test('takes the value of a function that ends after the warning', async () => {
  const { end } = await run(
    (_args, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('in time'));
      }),
    {},
    { wallMs: 1000 },
  );
  expect(end).toEqual({ status: 'ok', value: 'in time' });
});

test('ignores what a function does after its deadline', async () => {
  let fail: (cause: Error) => void = () => {};
  const job = await functionJob(
    () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      }),
    {},
    { wallMs: 20 },
  );
  const { end } = await runner.run(job);
  fail(new Error('much later'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(end.status).toBe('timeout');
});

test.each([
  ['killed', 'ENF_CALL_KILLED'],
  ['aborted', 'ENF_CALL_ABORTED'],
] as const)('ends a call that is %s, and tells the function', async (status, code) => {
  const seen: unknown[] = [];
  const job = await functionJob(
    (_args, { signal }) =>
      new Promise(() => {
        signal.addEventListener('abort', () => seen.push(signal.reason.message));
        queueMicrotask(() => job.halt({ status, message: 'stop it' }));
      }),
  );
  expect((await runner.run(job)).end).toEqual({ status, code, message: 'stop it' });
  expect(seen).toEqual(['stop it']);
});

test('keeps the end of a call that was stopped, though the function then gave a value', async () => {
  const job = await functionJob(
    (_args, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('anyway'));
        queueMicrotask(() => job.halt({ status: 'aborted', message: 'stop it' }));
      }),
  );
  expect((await runner.run(job)).end.status).toBe('aborted');
});

test('does not call a function whose call was stopped before', async () => {
  let isCalled = false;
  const job = await functionJob(() => {
    isCalled = true;
  });
  job.halt({ status: 'aborted', message: 'too late' });
  expect((await runner.run(job)).end.status).toBe('aborted');
  expect(isCalled).toBe(false);
});

test('runs nothing but functions', async () => {
  const job = await makeJob(tool('add.mjs'));
  await expect(runner.run(job)).rejects.toThrow('only functions');
  await runner.close();
});
