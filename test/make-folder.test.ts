import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeFolder } from '../src/make-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'make-folder-'));
afterAll(() => rmSync(root, { recursive: true }));

test('makes a folder and its parents, for this user only', () => {
  makeFolder(join(root, 'a', 'b', 'c'));
  expect(statSync(join(root, 'a', 'b', 'c')).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700);
});

test('has nothing against a folder that is there', () => {
  makeFolder(root);
  expect(statSync(root).isDirectory()).toBe(true);
});

test('does not take a file for a folder', () => {
  writeFileSync(join(root, 'file'), '');
  expect(() => makeFolder(join(root, 'file'))).toThrow('EEXIST');
  expect(() => makeFolder(join(root, 'file', 'below'))).toThrow('ENOTDIR');
});

test.skipIf(process.platform !== 'linux')('ends where a parent refuses new entries', () => {
  expect(() => makeFolder('/proc/enforcecore/below')).toThrow(/ENOENT|EACCES/);
});
