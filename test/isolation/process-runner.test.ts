import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { eventually, fileOf, isRunning, runningInGroup } from '../fixtures/observe.ts';

let runner: ProcessRunner;
let folder: string;
beforeAll(() => {
  runner = new ProcessRunner();
  folder = mkdtempSync(join(tmpdir(), 'process-test-'));
});
afterAll(async () => {
  await runner.close();
  rmSync(folder, { recursive: true });
});

const run = async (...call: Parameters<typeof makeJob>) => runner.run(await makeJob(...call));

describe('the channel', () => {
  test.each([
    'garbage',
    'huge-length',
    'zero-length',
    'not-json',
    'not-utf8',
    'unknown-type',
    'extra-field',
    'other-call',
    'ready-again',
    'proto',
    'deep',
    'unterminated',
  ])('ends as protocol-violation when a tool writes to it: %s', async (attack) => {
    const { end } = await run(tool('write-channel.mjs'), { attack });
    expect(end).toMatchObject({ status: 'protocol-violation', code: 'ENF_WORKER_PROTOCOL' });
  });

  test('still gives the result of a tool that leaves it alone', async () => {
    const { end } = await run(tool('write-channel.mjs'), { attack: 'none', ms: 1 });
    expect(end).toEqual({ status: 'ok', value: 'honest' });
  });

  test('does not grow the supervisor when it is flooded', async () => {
    const before = process.memoryUsage().rss;
    const { end } = await run(tool('write-channel.mjs'), { attack: 'flood' });
    expect(end.status).toBe('protocol-violation');
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 2 ** 20);
  });

  test('takes a forged result as no more than the value of its own call', async () => {
    const { end } = await run(tool('forge-second-result.mjs'), { copies: 1 });
    expect(end).toEqual({ status: 'ok', value: 'forged' });
  });

  test('refuses both results of a tool that sends two', async () => {
    const { end } = await run(tool('forge-second-result.mjs'), { copies: 2 });
    expect(end.status).toBe('protocol-violation');
  });

  test('refuses a flood of log messages', async () => {
    const { end } = await run(tool('flood-log.mjs'));
    expect(end.status).toBe('protocol-violation');
  });

  test('does not wait for a tool that closed it', async () => {
    const { end } = await run(tool('shut-channel.mjs'), {}, { wallMs: 800 });
    expect(['timeout', 'crashed']).toContain(end.status);
  });

  test.each(['stdout', 'stderr', 'unused descriptors'])('survives garbage on %s', async (where) => {
    const stream = { stdout: 1, stderr: 2, 'unused descriptors': 1 }[where];
    const { end } = await run(tool('flood-stdout.mjs'), { stream }, { outputBytes: 10_000 });
    expect(end).toMatchObject({ status: 'output-too-large', limit: 'output' });
  });
});

describe('limits from outside', () => {
  test('kills a tool that traps every signal, before its effect', async () => {
    const file = join(folder, 'survived');
    const { end, exit } = await run(
      tool('trap-signals.mjs'),
      { file, afterMs: 1500 },
      { wallMs: 500 },
    );
    expect(end.status).toBe('timeout');
    expect(exit).toEqual({ code: null, signal: 'SIGKILL' });
    const control = await run(tool('trap-signals.mjs'), { file, afterMs: 100 }, { wallMs: 1500 });
    expect(control.end.status).toBe('timeout');
    expect(readFileSync(file, 'utf8')).toBe('survived');
  });

  test('leaves no process and no group of a killed tool and its children', async () => {
    const file = join(folder, 'pids');
    const { end } = await run(tool('spawn-children.mjs'), { count: 3, file }, { wallMs: 1000 });
    const pids = (await fileOf(file)) as number[];
    expect(end.status).toBe('timeout');
    expect(pids).toHaveLength(4);
    expect(pids.filter(isRunning)).toEqual([]);
    expect(runningInGroup(pids[0] ?? 0)).toEqual([]);
  });

  test('also kills children that left the process group', async () => {
    const file = join(folder, 'detached-pids');
    const args = { count: 2, file, detached: true };
    const { end } = await run(tool('spawn-children.mjs'), args, { wallMs: 1000 });
    const pids = (await fileOf(file)) as number[];
    expect(end.status).toBe('timeout');
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test('ends a tool whose memory outside the heap grows', async () => {
    const { end, peakMemoryBytes } = await run(
      tool('allocate-buffers.mjs'),
      {},
      { memoryBytes: 150 * 2 ** 20 },
    );
    expect(end).toMatchObject({ status: 'out-of-memory', limit: 'memory' });
    expect(peakMemoryBytes).toBeGreaterThan(150 * 2 ** 20);
  });

  test('ends a tool that starts too many processes', async () => {
    const file = join(folder, 'many');
    const { end } = await run(tool('spawn-children.mjs'), { count: 6, file }, { processesMax: 4 });
    const pids = (await fileOf(file)) as number[];
    expect(end).toMatchObject({ status: 'process-limit', limit: 'processes' });
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test('ends a tool that uses too much CPU time', async () => {
    const { end, cpuMs } = await run(tool('burn-cpu.mjs'), {}, { cpuMs: 300 });
    expect(end).toMatchObject({ status: 'cpu-limit', limit: 'cpu' });
    expect(cpuMs).toBeGreaterThan(300);
  });

  test('starts a tool in a scratch folder that is gone afterwards', async () => {
    const { end } = await run(tool('describe-process.mjs'));
    const { cwd } = (end as { value: { cwd: string } }).value;
    expect(cwd).toContain(`enforcecore-${process.pid}-`);
    expect(existsSync(cwd)).toBe(false);
  });

  test('removes a scratch folder whose modes the tool took away', async () => {
    const { end } = await run(tool('leave-files.mjs'));
    expect(existsSync((end as { value: string }).value)).toBe(false);
  });

  test('leaves no scratch folder and no live group of many calls', async () => {
    await Promise.all(Array.from({ length: 8 }, () => run(tool('add.mjs'), { a: 1, b: 1 })));
    const left = readdirSync(tmpdir()).filter((name) =>
      name.startsWith(`enforcecore-${process.pid}-`),
    );
    expect(left).toEqual([]);
  });
});

describe('commands', () => {
  test('get JSON arguments on stdin and give JSON on stdout', async () => {
    const { end, stdout } = await run({ command: [tool('sum.sh')] }, { q: 'x' });
    expect(end).toEqual({ status: 'ok', value: { got: { q: 'x' } } });
    expect(stdout).toBe('');
  });

  test.each([
    ['text without its last newline', 'echo two words', 'two words'],
    ['two JSON values as text', 'echo 1; echo 2', '1\n2'],
    ['an empty result', 'true', ''],
    ['JSON with a duplicate key as text', 'echo \'{"a":1,"a":2}\'', '{"a":1,"a":2}'],
    ['invalid UTF-8 as replaced text', "printf 'a\\377b'", 'a\ufffdb'],
  ])('give %s', async (_kind, script, value) => {
    const { end } = await run({ command: ['sh', '-c', script] });
    expect(end).toEqual({ status: 'ok', value });
  });

  test('end as tool-error by their exit code, with what they printed', async () => {
    const report = await run({ command: ['sh', '-c', 'echo out; echo why >&2; exit 3'] });
    expect(report).toMatchObject({
      end: { status: 'tool-error', message: 'the command exited with code 3' },
      stdout: 'out\n',
      stderr: 'why\n',
      exit: { code: 3, signal: null },
    });
  });

  test('end as crashed by a signal', async () => {
    const { end } = await run({ command: ['sh', '-c', 'kill -SEGV $$'] });
    expect(end).toMatchObject({ status: 'crashed', message: expect.stringContaining('SIGSEGV') });
  });

  test('need not read their arguments', async () => {
    const { end } = await run({ command: ['true'] }, { large: 'x'.repeat(2 ** 20) });
    expect(end.status).toBe('ok');
  });

  test('are killed at the deadline with all they started', async () => {
    const file = join(folder, 'sh-pids');
    const script = `sleep 60 & echo "[$!, $$]" > ${file}; wait`;
    const { end } = await run({ command: ['sh', '-c', script] }, {}, { wallMs: 500 });
    const pids = (await fileOf(file)) as number[];
    expect(end.status).toBe('timeout');
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test('leave no background process behind when they end well', async () => {
    const file = join(folder, 'bg-pids');
    const { end } = await run({ command: ['sh', '-c', `sleep 60 & echo $! > ${file}`] });
    const pid = (await fileOf(file)) as number;
    expect(end.status).toBe('ok');
    expect(isRunning(pid)).toBe(false);
  });

  test('are asked to end by SIGTERM when the caller aborts', async () => {
    const file = join(folder, 'term');
    const script = `trap 'echo 2 > ${file}; exit 0' TERM; echo 1 > ${file}; sleep 60 & wait`;
    const job = await makeJob({ command: ['sh', '-c', script] });
    const report = runner.run(job);
    await eventually(() => existsSync(file) && readFileSync(file, 'utf8') !== '');
    job.halt({ status: 'aborted', message: 'enough' });
    expect((await report).end.status).toBe('aborted');
    expect(readFileSync(file, 'utf8')).toBe('2\n');
  });
});
