import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

test('the demo runs, and everything in it is as it should be', () => {
  const home = mkdtempSync(join(tmpdir(), 'enforcecore-demo-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const env = { PATH: process.env['PATH'], HOME: home };
  const { status, stdout } = spawnSync(process.execPath, ['examples/demo.js'], {
    env,
    encoding: 'utf8',
  });
  expect(stdout).not.toContain('FAIL');
  expect(stdout.match(/^ok {3}/gm)).toHaveLength(10);
  expect(status).toBe(0);
});
