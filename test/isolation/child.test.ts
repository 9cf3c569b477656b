import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CapturedOutput } from '../../src/isolation/captured-output.ts';
import { type Child, drainChild, startChild } from '../../src/isolation/child.ts';
import { NOTHING_USED } from '../../src/isolation/limit-watch.ts';
import { fileOf, isRunning } from '../fixtures/observe.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'child-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(script: string, env: Record<string, string> = { PATH: '/usr/bin:/bin' }) {
  const child = await startChild({
    file: '/bin/sh',
    args: ['-c', script],
    env,
    cwd: folder,
    channel: 'stdio',
    layers: [],
    profileDigest: null,
    watch: () => ({ peaks: { cpuMs: 0, peakMemoryBytes: 0 }, limitsHit: [], stop: () => null }),
    usage: async () => NOTHING_USED,
  });
  if ('cause' in child) throw new Error(child.cause);
  return child;
}

function captured(child: Child): CapturedOutput {
  const output = new CapturedOutput(10 ** 6);
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  return output;
}

/** What a child wrote to stdout until its pipes were given up. */
async function outputOf(child: Child): Promise<string> {
  const output = captured(child);
  await child.exited;
  await drainChild(child);
  return output.text();
}

test('leads a group of its own, in its own folder, with its own environment only', async () => {
  const child = await start('pwd; ps -o pgid= -p $$ | tr -d " "; echo $$; env', { A: '1' });
  const [cwd, group, pid, ...env] = (await outputOf(child)).trim().split('\n');
  expect(cwd).toContain('child-test-');
  expect(group).toBe(pid);
  expect(Number(pid)).toBe(child.pid);
  expect(env.map((line) => line.split('=')[0]).sort()).toEqual(['A', 'PWD']);
});

test('tells its exit though a process it started holds its pipes', async () => {
  const child = await start(`sleep 60 & echo $! > ${folder}/sleep; exit 3`);
  expect(await child.exited).toEqual({ code: 3, signal: null });
  process.kill(-child.pid, 'SIGKILL');
});

test('has an ear for the errors of its pipes', async () => {
  const child = await start('exec <&-; exec 1>&- 2>&-; sleep 0.05');
  for (let n = 0; n < 100; n += 1) child.stdin?.write('x'.repeat(65_536));
  expect(await child.exited).toEqual({ code: 0, signal: null });
  await drainChild(child);
  expect(child.stdin?.destroyed).toBe(true);
});

test('gives what it wrote while this process was busy', async () => {
  const child = await start('sleep 0.2; head -c 60000 /dev/zero | tr "\\0" x');
  const output = captured(child);
  // Blocks turn after turn for longer than a pipe is waited for.
  const timer = setInterval(() => {
    const end = performance.now() + 150;
    while (performance.now() < end);
  }, 1);
  setTimeout(() => clearInterval(timer), 400);
  await drainChild(child);
  expect(output.text()).toBe('x'.repeat(60_000));
});

test('is given up when another process keeps its pipe open and says nothing', async () => {
  const child = await start(`setsid sh -c 'echo $$ > ${folder}/quiet; exec sleep 60' & echo x`);
  expect(await outputOf(child)).toBe('x\n');
  const pid = (await fileOf(join(folder, 'quiet'))) as number;
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
  expect(child.stdout.destroyed).toBe(true);
});

test('is given up when another process goes on writing for ever', async () => {
  const file = join(folder, 'loud');
  const child = await start(`setsid sh -c 'echo $$ > ${file}; exec yes' & echo x`);
  await outputOf(child);
  expect(child.stdout.destroyed).toBe(true);
  const pid = (await fileOf(file)) as number;
  // Its pipe has no reader any more, which ends it.
  await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false);
});
