import { expect, test } from 'vitest';
import { groupName, isOrphaned, startTimeOf, thisOwner } from '../../src/isolation/cgroup-owner.ts';

const HERE = { pidNamespace: '4026531836', pid: 7, startTime: '100' };
const RANDOM = '0123456789abcdef';
const name = (owner: Partial<typeof HERE>) => groupName({ ...HERE, ...owner }, RANDOM);

test('sweeps the group of a process that ended, or whose number another process has now', () => {
  expect(isOrphaned(name({ pid: 8 }), HERE, () => null)).toBe(true);
  expect(isOrphaned(name({ pid: 8 }), HERE, () => '101')).toBe(true);
  expect(isOrphaned(name({ pid: 8 }), HERE, () => '100')).toBe(false);
});

test.each([
  ['another pid namespace', name({ pidNamespace: '1' })],
  ['somebody else', 'user.slice'],
  ['the supervisor', 'enforcecore-supervisor'],
  ['a name with a suffix', `${name({})}.old`],
  ['a name with a path', `${name({})}/../x`],
  ['a negative number', name({}).replace('-7-', '--7-')],
])('never sweeps the group of %s', (_, folder) => {
  expect(isOrphaned(folder, HERE, () => null)).toBe(false);
});

test('this process is an owner that still runs', () => {
  const owner = thisOwner();
  expect(owner.startTime).toMatch(/^\d+$/);
  expect(isOrphaned(groupName(owner, RANDOM), owner)).toBe(false);
  expect(startTimeOf(0)).toBeNull();
});
