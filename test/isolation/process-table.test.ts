import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { parseProcStat, parsePsLine, readProcessTable } from '../../src/isolation/process-table.ts';

/** A line of `/proc/<pid>/stat` with these fields. */
function statLine(name: string, state = 'S', parent = 7, group = 8): string {
  const rest = Array.from({ length: 49 }, (_, at) => String(at + 100));
  rest[0] = state;
  rest[1] = String(parent);
  rest[2] = String(group);
  return `42 (${name}) ${rest.join(' ')}\n`;
}

test.each([['node'], ['a b'], [') S 1 1 ('], ['x) Z 1 1 1 1'], ['(sd-pam)'], [''], ['\n']])(
  'reads the fields after a process name of %j, which the process chose',
  (name) => {
    expect(parseProcStat(statLine(name))).toEqual({
      pid: 42,
      parentPid: 7,
      groupId: 8,
      startedAt: '119',
      isZombie: false,
      // Fields 16 and 17, in ticks of 10 ms.
      endedChildrenCpuMs: (113 + 114) * 10,
    });
  },
);

test.each([
  ['R', false],
  ['D', false],
  ['T', false],
  ['Z', true],
  ['X', true],
])('tells from state %s whether a process is dead: %s', (state, isZombie) => {
  expect(parseProcStat(statLine('x', state))?.isZombie).toBe(isZombie);
});

test.each([[''], ['42'], ['42 (x)'], ['42 (x) S 1 1'], ['x (y) S 1 1'], ['\0']])(
  'reads %j as no process',
  (text) => expect(parseProcStat(text)).toBeNull(),
);

test.each([
  ['  501     1   501 Ss', { pid: 501, parentPid: 1, groupId: 501, isZombie: false }],
  ['12 3 4 Z+', { pid: 12, parentPid: 3, groupId: 4, isZombie: true }],
])('reads the line %j of ps', (line, entry) => {
  expect(parsePsLine(line)).toEqual([{ ...entry, startedAt: '', endedChildrenCpuMs: 0 }]);
});

test.each([[''], ['PID PPID PGID STAT'], ['1 2 3'], ['a b c d']])(
  'reads the line %j of ps as no process',
  (line) => expect(parsePsLine(line)).toEqual([]),
);

test('sees this process, and a child with its parent, group and state', async () => {
  const child = spawn('sleep', ['60'], { detached: true });
  await once(child, 'spawn');
  try {
    const table = await readProcessTable();
    expect(table.find(({ pid }) => pid === process.pid)).toMatchObject({ isZombie: false });
    expect(table.find(({ pid }) => pid === child.pid)).toMatchObject({
      parentPid: process.pid,
      groupId: child.pid,
      isZombie: false,
    });
  } finally {
    child.kill('SIGKILL');
  }
});
