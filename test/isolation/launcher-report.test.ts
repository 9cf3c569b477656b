import { describe, expect, test } from 'vitest';
import { type LaunchRow, reportRecord } from '../../src/isolation/launch-table.ts';
import { decodeLaunchReport } from '../../src/isolation/launcher-report.ts';

const ROWS: readonly LaunchRow[] = [
  { call: 'chdir', args: [], mode: 'must-succeed', purpose: 'change to `/x`' },
  { call: 'getppid', args: [], mode: 'must-equal', value: 5, purpose: 'find the supervisor' },
  { call: 'execve', args: [], mode: 'must-succeed', purpose: 'execute `/bin/x`' },
];
const ONE = [ROWS];
const TWO = [ROWS, ROWS.slice(1)];

function report(...records: readonly (readonly [row: number, result: number, stage?: number])[]) {
  return Buffer.concat(records.map(([row, result, stage = 0]) => reportRecord(row, result, stage)));
}

describe('decodeLaunchReport', () => {
  test('knows a program that was executed', () => {
    expect(decodeLaunchReport(report([2, 0]), ONE)).toEqual({ state: 'executed' });
    expect(decodeLaunchReport(report([2, 0], [1, 0, 1]), TWO)).toEqual({ state: 'executed' });
  });

  test.each<[string, Uint8Array, object]>([
    ['a failed row', report([0, -2]), { row: 0, cause: 'could not change to `/x`: ENOENT' }],
    [
      'an unexpected result',
      report([1, 7]),
      { row: 1, cause: 'could not find the supervisor: got 7' },
    ],
    [
      'a result of 0 elsewhere',
      report([1, 0]),
      { row: 1, cause: 'could not find the supervisor: got 0' },
    ],
    [
      'a failed execve',
      report([2, 0], [2, -13]),
      { row: 2, cause: 'could not execute `/bin/x`: EACCES' },
    ],
    [
      'a cut table',
      report([-1, 0]),
      { row: -1, cause: 'the launcher did not get a whole table: got 0' },
    ],
    [
      'an unreadable one',
      report([-1, -21]),
      { cause: 'the launcher did not get a whole table: EISDIR' },
    ],
    ['rows that ended', report([3, 0]), { row: 3, cause: expect.stringContaining('whole table') }],
    ['an unknown errno', report([0, -4000]), { cause: expect.stringContaining('4000') }],
  ])('names %s', (_, bytes, wanted) => {
    expect(decodeLaunchReport(bytes, ONE)).toMatchObject({ state: 'refused', stage: 0, ...wanted });
  });

  test('names the stage that refused', () => {
    expect(decodeLaunchReport(report([2, 0], [0, 3, 1]), TWO)).toMatchObject({
      state: 'refused',
      stage: 1,
      row: 0,
    });
  });

  test.each<[string, Uint8Array, readonly (readonly LaunchRow[])[]]>([
    ['nothing', new Uint8Array(0), ONE],
    ['a part of a record', report([2, 0]).subarray(0, 23), ONE],
    ['more than a record', Buffer.concat([report([2, 0]), Buffer.alloc(1)]), ONE],
    ['too many records', report([2, 0], [2, 0], [2, 0]), ONE],
    ['only the first of two launchers', report([2, 0]), TWO],
    ['the second launcher alone', report([1, 0, 1]), TWO],
    ['the same launcher twice', report([2, 0], [2, 0]), TWO],
  ])('does not take %s for a program that ran', (_, bytes, stages) => {
    expect(decodeLaunchReport(bytes, stages).state).toBe('died');
  });

  test('does not mind where the bytes begin', () => {
    const shifted = Buffer.concat([Buffer.alloc(3), report([0, -2])]).subarray(3);
    expect(decodeLaunchReport(shifted, ONE)).toMatchObject({ state: 'refused', row: 0 });
  });
});
