import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ProcessEntry } from '../../src/isolation/process-table.ts';
import { ProcessTree } from '../../src/isolation/process-tree.ts';

/** `pid parent group`, and optionally its start time and `Z`. */
function entry(pid: number, parentPid: number, groupId: number, startedAt = '1', state = 'S') {
  return { pid, parentPid, groupId, startedAt, isZombie: state === 'Z', endedChildrenCpuMs: 0 };
}

/** A tree over a table that a test may change. */
function treeOver(...tables: (readonly ProcessEntry[])[]) {
  const tree = new ProcessTree(10, async () => tables.shift() ?? []);
  return async () => (await tree.refresh()).map(({ pid }) => pid).sort((a, b) => a - b);
}

test('finds the root, its group and its descendants, and nobody else', async () => {
  const look = treeOver([
    entry(1, 0, 1),
    entry(10, 1, 10),
    entry(11, 10, 10),
    entry(12, 11, 12),
    entry(13, 12, 13),
    entry(14, 1, 10),
    entry(20, 1, 20),
    entry(21, 20, 20),
  ]);
  expect(await look()).toEqual([10, 11, 12, 13, 14]);
});

test('keeps a daemon that was seen before it left its group and its parent', async () => {
  const look = treeOver(
    [entry(10, 1, 10), entry(11, 10, 11)],
    [entry(10, 1, 10), entry(11, 1, 11)],
    [entry(11, 1, 11), entry(12, 11, 12)],
  );
  expect(await look()).toEqual([10, 11]);
  expect(await look()).toEqual([10, 11]);
  expect(await look()).toEqual([11, 12]);
});

test('does not take a later process with the same pid for a member', async () => {
  const look = treeOver(
    [entry(10, 1, 10), entry(11, 10, 11, '100')],
    [entry(10, 1, 10), entry(11, 1, 11, '200')],
  );
  expect(await look()).toEqual([10, 11]);
  expect(await look()).toEqual([10]);
});

test('forgets a member that was missing from one look', async () => {
  const look = treeOver(
    [entry(10, 1, 10), entry(11, 10, 11)],
    [entry(10, 1, 10)],
    [entry(10, 1, 10), entry(11, 1, 11)],
  );
  await look();
  await look();
  expect(await look()).toEqual([10]);
});

test('leaves zombies out', async () => {
  const look = treeOver([
    entry(10, 1, 10, '1', 'Z'),
    entry(11, 10, 10),
    entry(12, 11, 12, '1', 'Z'),
  ]);
  expect(await look()).toEqual([11]);
});

test('survives a table in which processes are their own ancestors', async () => {
  const look = treeOver([entry(10, 11, 1), entry(11, 10, 1), entry(12, 12, 1)]);
  expect(await look()).toEqual([10, 11]);
});

test('keeps its members when the table cannot be read', async () => {
  const tables: (() => readonly ProcessEntry[])[] = [
    () => [entry(10, 1, 10), entry(11, 10, 11)],
    () => {
      throw Object.assign(new Error('no descriptor'), { code: 'EMFILE' });
    },
    () => [entry(11, 1, 11)],
  ];
  const tree = new ProcessTree(10, async () => tables.shift()?.() ?? []);
  await tree.refresh();
  await expect(tree.refresh()).rejects.toThrow('no descriptor');
  expect((await tree.refresh()).map(({ pid }) => pid)).toEqual([11]);
});

test('holds every descendant of the root, whatever the shape of the tree', async () => {
  // Parent of process 10 + n is one of the processes before it.
  const parents = fc.array(fc.nat(), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(parents, async (choices) => {
      const table = choices.map((choice, at) => entry(11 + at, 10 + (choice % (at + 1)), 500 + at));
      const look = treeOver([...table, entry(10, 1, 499), entry(7, 1, 7)].reverse());
      expect(await look()).toEqual([10, ...table.map(({ pid }) => pid)]);
    }),
  );
});
