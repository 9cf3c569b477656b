import { afterAll, describe, expect, test } from 'vitest';
import { openHostTiers } from '../../src/isolation/host-tiers.ts';
import type { Job, Runner, RunReport } from '../../src/isolation/runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { eventually } from '../fixtures/observe.ts';
import { runPrepared } from '../fixtures/prepared.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

const cold = await openHostTiers([]);
const SUITES = [
  ['isolated', 'cold'],
  ['hardened', 'cold'],
  ['process', 'cold'],
  ['thread', 'cold'],
  ['isolated', 'prepared'],
  ['hardened', 'prepared'],
  ['process', 'prepared'],
] as const;

describe.each(SUITES)('%s runner, %s workers', async (tier, start) => {
  const bounds = { workersMax: 1, memoryMbMax: 512, idleMs: 60_000 };
  const host = start === 'cold' ? cold : await openHostTiers([], bounds);
  const found = host.runners.find((candidate) => candidate.tier === tier);
  if (found === undefined) {
    requireLayer(tier === 'isolated' ? 'bwrap' : tier);
    test.skip(`does not work on this host: ${JSON.stringify(host.shortfalls)}`, () => {});
    return;
  }
  const runner: Runner = found;
  afterAll(() => runner.close());

  const runJob = (job: Job): Promise<RunReport> =>
    host.pool === null ? runner.run(job) : runPrepared(runner, host.pool, job);

  const run = async (...call: Parameters<typeof makeJob>) => runJob(await makeJob(...call));

  test('gives the value of a tool', async () => {
    const { end } = await run(tool('add.mjs'), { a: 1, b: 2 });
    expect(end).toEqual({ status: 'ok', value: 3 });
  });

  test('gives undefined for a tool that returns nothing', async () => {
    const { end } = await run(tool('returns-undefined.mjs'));
    expect(end).toEqual({ status: 'ok', value: undefined });
  });

  test.each([
    ['a named export', { module: tool('named.mjs'), export: 'double' }, { n: 4 }, 8],
    ['a CommonJS function', tool('commonjs.cjs'), { name: 'you' }, 'hello you'],
    [
      'a CommonJS named export',
      { module: tool('commonjs-named.cjs'), export: 'greet' },
      { name: 'you' },
      'hi you',
    ],
  ] as const)('runs %s', async (_kind, target, args, expected) => {
    const { end } = await run(target, args);
    expect(end).toEqual({ status: 'ok', value: expected });
  });

  test('sends arguments as they are, unusual keys and characters too', async () => {
    const args = {
      constructor: 1,
      'a\u2028b': ['😀', '\u0000', ''],
      nested: { list: [null, true] },
    };
    const { end } = await run(tool('echo-args.mjs'), args);
    expect(end).toEqual({ status: 'ok', value: args });
  });

  test.each([
    ['throws', tool('throws.mjs'), 'ENF_TOOL_FAILED', 'TypeError: no such page'],
    [
      'throws a value that cannot be read',
      tool('throws-oddly.mjs'),
      'ENF_TOOL_FAILED',
      'cannot be read',
    ],
    ['has a syntax error', tool('syntax-error.mjs'), 'ENF_TOOL_LOAD', 'SyntaxError'],
    ['imports what does not exist', tool('missing-import.mjs'), 'ENF_TOOL_LOAD', 'does-not-exist'],
    ['exports no function', tool('no-function.mjs'), 'ENF_TOOL_EXPORT', 'no function'],
    [
      'lacks the export that was asked for',
      { module: tool('named.mjs'), export: 'triple' },
      'ENF_TOOL_EXPORT',
      'it exports double',
    ],
  ] as const)('ends as tool-error when the tool %s', async (_kind, target, code, message) => {
    const { end } = await run(target);
    expect(end).toMatchObject({ status: 'tool-error', code });
    expect(end).toHaveProperty('message', expect.stringContaining(message));
  });

  test.each([
    ['cycle', 'a cycle'],
    ['bigint', 'a bigint'],
    ['nan', 'NaN'],
    ['unsafe-integer', '2^53'],
    ['lone-surrogate', 'surrogate'],
    ['function', 'a function'],
    ['map', 'a Map'],
    ['buffer', 'Uint8Array'],
    ['proto', '__proto__'],
    ['throwing-getter', 'throws when it is read'],
    ['deep', 'at most 200 levels'],
  ])('refuses a result with %s and says why', async (kind, why) => {
    const { end } = await run(tool('returns-value.mjs'), { kind });
    expect(end).toMatchObject({ status: 'tool-error', code: 'ENF_TOOL_RESULT' });
    expect(end).toHaveProperty('message', expect.stringContaining(why));
  });

  test('takes a result at the deepest level allowed', async () => {
    const { end } = await run(tool('returns-value.mjs'), { kind: 'deep-200' });
    expect(end.status).toBe('ok');
  });

  test('refuses a result of 100 MB as too large', async () => {
    const { end } = await run(tool('returns-value.mjs'), { kind: 'large' });
    expect(end).toMatchObject({ status: 'output-too-large', limit: 'output' });
  });

  test('keeps stdout and stderr apart from the result', async () => {
    const { end, stdout, stderr } = await run(tool('print-lines.mjs'), { out: 'one', err: 'two' });
    expect({ end, stdout, stderr }).toEqual({
      end: { status: 'ok', value: 'done' },
      stdout: 'one\n',
      stderr: 'two\n',
    });
  });

  test('ends a tool that floods stdout, and keeps no more than the limit', async () => {
    const { end, stdout } = await run(
      tool('flood-stdout.mjs'),
      { stream: 'console' },
      { outputBytes: 65_536 },
    );
    expect(end).toMatchObject({ status: 'output-too-large', limit: 'output' });
    expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(65_536);
  });

  test.each([
    ['blocks its event loop', 'spin.mjs'],
    ['never settles', 'never-settles.mjs'],
    ['spins while its result is read', 'returns-value.mjs'],
  ])('ends a tool at its deadline that %s', async (_kind, file) => {
    const { end } = await run(tool(file), { kind: 'spinning-tojson' }, { wallMs: 400 });
    expect(end).toMatchObject({ status: 'timeout', code: 'ENF_LIMIT_WALL', limit: 'wall' });
  });

  test('ends a tool whose heap grows without end', async () => {
    const { end } = await run(tool('allocate-heap.mjs'), {}, { memoryBytes: 48 * 2 ** 20 });
    expect(end).toMatchObject({ status: 'out-of-memory', limit: 'memory' });
  });

  test.each([
    ['in the call', 'exit-early.mjs'],
    ['while it is loaded', 'exit-on-load.mjs'],
  ])('ends as crashed when the tool exits %s', async (_when, file) => {
    const { end } = await run(tool(file));
    expect(end).toMatchObject({ status: 'crashed', code: 'ENF_WORKER_CRASHED' });
  });

  /** Starts a tool that logs `waiting`, and waits until it does. */
  async function startWaiting(options: { readonly wallMs?: number } = {}) {
    const log: string[] = [];
    const onLog = (message: string): void => void log.push(message);
    const job = await makeJob(tool('watch-signal.mjs'), {}, { ...options, onLog });
    const report = runJob(job);
    await eventually(() => log.length > 0);
    return { job, log, report };
  }

  test('kills at once on the kill switch', async () => {
    const { job, log, report } = await startWaiting();
    job.halt({ status: 'killed', message: 'operator says stop' });
    expect((await report).end).toEqual({
      status: 'killed',
      code: 'ENF_CALL_KILLED',
      message: 'operator says stop',
    });
    expect(log).toEqual(['waiting']);
  });

  test('tells the tool of an abort before it kills it', async () => {
    const { job, log, report } = await startWaiting();
    job.halt({ status: 'aborted', message: 'changed my mind' });
    expect((await report).end).toMatchObject({ status: 'aborted', code: 'ENF_CALL_ABORTED' });
    expect(log).toEqual(['waiting', 'aborted: changed my mind']);
  });

  test('does not start a tool whose call was stopped before', async () => {
    const log: string[] = [];
    const onLog = (message: string): void => void log.push(message);
    const job = await makeJob(tool('watch-signal.mjs'), {}, { onLog });
    job.halt({ status: 'killed', message: 'too late' });
    expect((await runner.run(job)).end.status).toBe('killed');
    expect(log).toEqual([]);
  });

  test('warns the tool shortly before its deadline', async () => {
    const { log, report } = await startWaiting({ wallMs: 4000 });
    expect((await report).end).toEqual({ status: 'ok', value: 'stopped in time' });
    expect(log).toEqual(['waiting', 'aborted: the deadline is near']);
  });

  test('passes log and progress on', async () => {
    const seen: unknown[] = [];
    const { end } = await run(
      tool('report-progress.mjs'),
      {},
      {
        onLog: (message) => seen.push(message),
        onProgress: (done, total) => seen.push([done, total]),
      },
    );
    expect(end.status).toBe('ok');
    expect(seen).toEqual(['half way', [1, 2]]);
  });

  test('gives the tool nothing of the environment', async () => {
    process.env['ENFORCECORE_TEST_CANARY'] = 'not for tools';
    const { end } = await run(tool('read-environment.mjs'));
    delete process.env['ENFORCECORE_TEST_CANARY'];
    const names = Object.keys((end as { value: object }).value).sort();
    expect(names).toEqual(['HOME', 'PATH', 'TMPDIR']);
  });

  test('runs calls side by side without mixing them', async () => {
    const reports = await Promise.all(
      Array.from({ length: 6 }, (_, n) => run(tool('add.mjs'), { a: n, b: 100 })),
    );
    expect(reports.map(({ end }) => (end as { value: number }).value)).toEqual([
      100, 101, 102, 103, 104, 105,
    ]);
  });
});
