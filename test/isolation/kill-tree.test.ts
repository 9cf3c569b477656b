import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { killTree, signalGroup, terminateGroup } from '../../src/isolation/kill-tree.ts';
import { readProcessTable } from '../../src/isolation/process-table.ts';
import { ProcessTree } from '../../src/isolation/process-tree.ts';
import { eventually, isRunning, runningInGroup } from '../fixtures/observe.ts';

const started: ChildProcess[] = [];
const path = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = path;
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** A shell that leads its own group. */
async function shell(script: string): Promise<number> {
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started.push(child);
  await once(child, 'spawn');
  if (child.stdout) await once(child.stdout, 'data');
  return child.pid ?? 0;
}

/** A row of a table that says whatever a test needs. */
const row = (pid: number) => ({
  pid,
  parentPid: 1,
  groupId: pid,
  startedAt: '1',
  isZombie: false,
  endedChildrenCpuMs: 0,
});

test('leaves nothing of a group that traps what can be trapped', async () => {
  const pid = await shell("trap '' TERM INT HUP; sleep 60 & sleep 60 & echo ready; wait; sleep 60");
  expect(runningInGroup(pid).length).toBeGreaterThan(2);
  expect(await killTree(new ProcessTree(pid, readProcessTable))).toEqual([]);
  expect(runningInGroup(pid)).toEqual([]);
  expect(isRunning(pid)).toBe(false);
});

test('also ends a descendant that was seen before it left the group', async () => {
  const pid = await shell('setsid sleep 60 & sleep 0.01; echo ready; wait');
  const tree = new ProcessTree(pid, readProcessTable);
  const seen = (await tree.refresh()).map((entry) => entry.pid);
  expect(seen.length).toBeGreaterThan(1);
  expect(await killTree(tree)).toEqual([]);
  expect(seen.filter(isRunning)).toEqual([]);
});

test('is content with a process that is already gone', async () => {
  const pid = await shell('echo ready');
  await eventually(() => !isRunning(pid));
  expect(await killTree(new ProcessTree(pid, readProcessTable))).toEqual([]);
});

test('names what it could not kill, after the last resort', async () => {
  const pid = await shell('echo ready; sleep 60');
  const survivors = await killTree(new ProcessTree(pid, async () => [row(pid)]));
  expect(survivors).toEqual([pid]);
  expect(isRunning(pid)).toBe(false);
});

test('does without tree-kill where it has no program to start', async () => {
  const pid = await shell('echo ready; sleep 60');
  process.env['PATH'] = '/nonexistent';
  expect(await killTree(new ProcessTree(pid, async () => [row(pid)]))).toEqual([pid]);
  delete process.env['PATH'];
  expect(await killTree(new ProcessTree(pid, async () => [row(pid)]))).toEqual([pid]);
});

test('does not take a table it cannot read for a proof of death', async () => {
  const pid = await shell('echo ready; sleep 60');
  const tree = new ProcessTree(pid, async () => {
    throw Object.assign(new Error('no descriptor'), { code: 'EMFILE' });
  });
  expect(await killTree(tree)).toEqual([pid]);
  expect(isRunning(pid)).toBe(false);
});

test('asks a whole group to end', async () => {
  const pid = await shell("trap 'exit 0' TERM; sh -c 'echo ready; exec sleep 60' & wait");
  terminateGroup(pid);
  await eventually(() => runningInGroup(pid).length === 0);
});

test('is silent about a group that is gone, and about no other error', () => {
  expect(() => signalGroup(2 ** 30)).not.toThrow();
  expect(() => signalGroup(Number.NaN)).toThrow();
});
