import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import { runInScratch } from '../../src/isolation/run-in-scratch.ts';
import { emptyReport } from '../../src/isolation/runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';

const before = process.env['TMPDIR'];
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'in-scratch-test-'));
});
afterEach(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  rmSync(root, { recursive: true, force: true });
});

const OK = emptyReport({ status: 'ok', value: 1 }, { layers: ['layer'] });

test('gives the report, and the folder is gone', async () => {
  let folder = '';
  const report = await runInScratch(['layer'], async (scratch) => {
    folder = scratch;
    writeFileSync(join(scratch, 'file'), 'x');
    return OK;
  });
  expect(report).toEqual(OK);
  expect(existsSync(folder)).toBe(false);
});

test('removes the folder also when the run throws', async () => {
  let folder = '';
  const run = runInScratch([], async (scratch) => {
    folder = scratch;
    throw new Error('a fault of ours');
  });
  await expect(run).rejects.toThrow('a fault of ours');
  expect(existsSync(folder)).toBe(false);
});

test('runs nothing when no folder can be made', async () => {
  process.env['TMPDIR'] = join(root, 'missing');
  let isRun = false;
  const report = await runInScratch(['layer'], async () => {
    isRun = true;
    return OK;
  });
  expect(isRun).toBe(false);
  expect(report).toMatchObject({
    end: { status: 'isolation-unavailable', code: 'ENF_ISOLATION_UNAVAILABLE' },
    layers: ['layer'],
  });
  expect(report.end).toHaveProperty('message', expect.stringContaining('(ENOENT); set TMPDIR'));
});

test('tells a runner so, too', async () => {
  process.env['TMPDIR'] = join(root, 'missing');
  const runner = new ProcessRunner();
  const { end } = await runner.run(await makeJob(tool('add.mjs'), { a: 1, b: 2 }));
  await runner.close();
  expect(end.status).toBe('isolation-unavailable');
});

test('does not let a call succeed that leaves its folder behind', async () => {
  process.env['TMPDIR'] = root;
  const report = await runInScratch([], async () => {
    // The folder above is swapped for a file: what is below can be neither reached nor removed.
    rmSync(root, { recursive: true });
    writeFileSync(root, 'x');
    return OK;
  });
  rmSync(root);
  mkdirSync(root);
  expect(report.end).toMatchObject({
    status: 'crashed',
    code: 'ENF_INTERNAL',
    message: expect.stringContaining('could not be removed (ENOTDIR)'),
  });
});
