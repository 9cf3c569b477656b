import { expect, test } from 'vitest';
import { type LaunchRow, littleEndian, reportRecord } from '../../src/isolation/launch-table.ts';
import { runLauncher } from '../../src/isolation/launcher-run.ts';
import { launcher } from './launched-program.ts';

const EXIT: LaunchRow = { call: 'exit_group', args: [0], mode: 'must-succeed', purpose: 'exit' };

test('a table that ends in an exit is run', async () => {
  expect(await runLauncher(launcher, [EXIT])).toEqual({
    exitCode: 0,
    signal: null,
    report: Buffer.alloc(0),
  });
});

test('a refusal comes with its report', async () => {
  const row: LaunchRow = { ...EXIT, call: 'close', args: [99], purpose: 'close' };
  expect(await runLauncher(launcher, [row, EXIT])).toEqual({
    exitCode: 125,
    signal: null,
    report: Buffer.from(reportRecord(0, -9, 0)),
  });
});

test('a launcher that takes too long is killed', async () => {
  const time = { bytes: littleEndian([1000n, 0n]) };
  const sleep: LaunchRow = { ...EXIT, call: 'nanosleep', args: [time, 0], purpose: 'sleep' };
  const run = await runLauncher(launcher, [sleep, EXIT], { timeoutMs: 20 });
  expect(run).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
});

test('a launcher that closes its end while it is written to does no harm', async () => {
  const large: LaunchRow = {
    ...EXIT,
    call: 'close',
    args: [4, { bytes: new Uint8Array(2 ** 21) }],
    purpose: 'close the table',
  };
  expect(await runLauncher(launcher, [large, EXIT])).toMatchObject({ exitCode: 0 });
});

test('a launcher that is not there is an error', async () => {
  const gone = { ...launcher, path: '/proc/self/fd/999' };
  await expect(runLauncher(gone, [EXIT])).rejects.toThrow(/ENOENT/);
});

test('a table that cannot be encoded is an error, not a launcher without one', async () => {
  await expect(runLauncher(launcher, [])).rejects.toThrow(/must end with/);
});
