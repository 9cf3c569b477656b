import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MountPoints } from '../../src/isolation/bubblewrap-mount-points.ts';

let folder = '';
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'points-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);
const absent = (name: string, kind: 'file' | 'folder' = 'file') =>
  ({ path: at(name), effect: 'read-only', kind, exists: false }) as const;
const refusal = expect.objectContaining({ code: 'ENF_ISOLATION_UNAVAILABLE' });

test('makes what is missing, empty and unwritable, and takes it away again', () => {
  const release = new MountPoints().hold([absent('.mcp.json'), absent('.vscode', 'folder')]);
  expect(lstatSync(at('.mcp.json'))).toMatchObject({ size: 0, mode: 0o100444 });
  expect(lstatSync(at('.vscode')).mode).toBe(0o040555);
  release();
  expect(readdirSync(folder)).toEqual([]);
});

test('keeps a mount point until the last call lets go', () => {
  const points = new MountPoints();
  const first = points.hold([absent('.npmrc')]);
  const second = points.hold([absent('.npmrc')]);
  first();
  first();
  expect(existsSync(at('.npmrc'))).toBe(true);
  second();
  expect(existsSync(at('.npmrc'))).toBe(false);
});

test('makes nothing for what exists', () => {
  new MountPoints().hold([{ ...absent('.npmrc'), exists: true }])();
  expect(readdirSync(folder)).toEqual([]);
});

test('never removes what another program filled, replaced, made or removed meanwhile', () => {
  writeFileSync(at('made'), '');
  const release = new MountPoints().hold([
    absent('file'),
    absent('filled', 'folder'),
    absent('replaced'),
    absent('made'),
    absent('gone'),
  ]);
  chmodSync(at('file'), 0o644);
  writeFileSync(at('file'), 'text');
  chmodSync(at('filled'), 0o755);
  writeFileSync(at('filled/x'), '');
  writeFileSync(at('other'), '');
  renameSync(at('other'), at('replaced'));
  rmSync(at('gone'));
  release();
  expect(readdirSync(folder).sort()).toEqual(['file', 'filled', 'made', 'replaced']);
});

test('follows no link that the tool put in place of a folder or of the name', () => {
  mkdirSync(at('elsewhere'));
  symlinkSync(at('elsewhere'), at('swapped'));
  symlinkSync(at('elsewhere/planted'), at('name'));
  const points = new MountPoints();
  for (const mask of [
    absent('swapped/x'),
    absent('name'),
    absent('missing/x'),
    absent('elsewhere'),
  ])
    expect(() => points.hold([absent('first'), mask])).toThrow(refusal);
  expect(readdirSync(at('elsewhere'))).toEqual([]);
  expect(existsSync(at('first'))).toBe(false);
});

test('refuses a link further above', () => {
  mkdirSync(at('real/sub'), { recursive: true });
  symlinkSync(at('real'), at('link'));
  expect(() => new MountPoints().hold([absent('link/sub/x')])).toThrow(refusal);
  expect(readdirSync(at('real/sub'))).toEqual([]);
});

test('refuses where nothing can be made', () => {
  const mask = { ...absent('x'), path: '/proc/x' };
  expect(() => new MountPoints().hold([mask])).toThrow(refusal);
});
