import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  countDeleted,
  countDisk,
  type DiskUsage,
  fileKey,
  TooMuchToCount,
} from '../../src/isolation/disk-usage.ts';

const MB = 2 ** 20;

let folder = '';
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'disk-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function count(paths: readonly string[] = [folder], entriesMax = 100_000): DiskUsage {
  const walking = countDisk(paths, entriesMax);
  for (;;) {
    const step = walking.next();
    if (step.done === true) return step.value;
  }
}
const at = (...names: readonly string[]): string => join(folder, ...names);
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('what lies in a folder', () => {
  test('is counted in blocks: what was written, not how long a file says it is', () => {
    const empty = count().bytes;
    const sparse = openSync(at('sparse'), 'w');
    ftruncateSync(sparse, 1000 * MB);
    expect(count().bytes - empty).toBeLessThan(MB);
    writeSync(sparse, Buffer.alloc(2 * MB, 1), 0, 2 * MB, 500 * MB);
    closeSync(sparse);
    expect(count().bytes - empty).toBeGreaterThanOrEqual(2 * MB);
    expect(count().bytes - empty).toBeLessThan(3 * MB);
  });

  test('is counted at any depth, many small files too', () => {
    const empty = count().bytes;
    mkdirSync(at('a', 'b', 'c'), { recursive: true });
    for (let file = 0; file < 300; file += 1) writeFileSync(at('a', 'b', 'c', `${file}`), 'x');
    const { bytes, entries } = count();
    expect(entries).toBe(1 + 3 + 300);
    expect(bytes - empty).toBeGreaterThanOrEqual(300 * 4096);
  });

  test('is counted once, however many names it has', () => {
    writeFileSync(at('file'), Buffer.alloc(MB, 1));
    const once = count().bytes;
    mkdirSync(at('sub'));
    for (let name = 0; name < 20; name += 1) linkSync(at('file'), at('sub', `${name}`));
    expect(count().bytes - once).toBeLessThan(MB / 2);
  });

  test('ends at links', () => {
    const elsewhere = at('elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'large'), Buffer.alloc(2 * MB, 1));
    mkdirSync(at('watched'));
    symlinkSync(elsewhere, at('watched', 'folder'));
    symlinkSync(join(elsewhere, 'large'), at('watched', 'file'));
    symlinkSync('.', at('watched', 'loop'));
    expect(count([at('watched')]).bytes).toBeLessThan(MB);
    expect(count([at('watched', 'folder')])).toMatchObject({ entries: 1 });
  });

  test('may be a single file, or nothing any more', () => {
    writeFileSync(at('file'), Buffer.alloc(MB, 1));
    expect(count([at('file'), at('gone')])).toMatchObject({ entries: 1 });
  });

  test('of more entries than may be looked at is no number', () => {
    for (let file = 0; file < 50; file += 1) writeFileSync(at(`${file}`), '');
    const before = descriptors();
    expect(() => count([folder], 50)).toThrow(TooMuchToCount);
    expect(count([folder], 51).entries).toBe(51);
    expect(descriptors()).toBe(before);
  });

  test('of folders without end is no number, and leaves no descriptor open', () => {
    mkdirSync(at(...Array.from({ length: 140 }, () => 'd')), { recursive: true });
    const before = descriptors();
    expect(() => count()).toThrow(TooMuchToCount);
    expect(descriptors()).toBe(before);
  });

  test('that is swapped for a link while it is walked leads nowhere else', () => {
    mkdirSync(at('watched', 'folder'), { recursive: true });
    mkdirSync(at('elsewhere'));
    writeFileSync(at('elsewhere', 'large'), Buffer.alloc(2 * MB, 1));
    for (let file = 0; file < 200; file += 1) writeFileSync(at('watched', `${file}`), '');
    const walking = countDisk([at('watched')], 1000);
    walking.next();
    rmSync(at('watched', 'folder'), { recursive: true });
    symlinkSync(at('elsewhere'), at('watched', 'folder'));
    let step = walking.next();
    while (step.done !== true) step = walking.next();
    expect(step.value.bytes).toBeLessThan(MB);
  });

  test('that is given up half way leaves no descriptor open', () => {
    mkdirSync(at('a', 'b'), { recursive: true });
    const before = descriptors();
    const walking = countDisk([folder], 1000);
    walking.next();
    walking.return({ bytes: 0, entries: 0 });
    expect(descriptors()).toBe(before);
  });
});

describe('a file without a name', () => {
  test('is found by who holds it open, once', () => {
    const device = new Set([statSync(folder).dev]);
    const held = openSync(at('file'), 'w+');
    const again = openSync(at('file'), 'r');
    writeSync(held, Buffer.alloc(2 * MB, 1));
    const named = countDeleted([process.pid], device, new Set());
    unlinkSync(at('file'));
    const unnamed = countDeleted([process.pid], device, new Set());
    expect(unnamed - named).toBeGreaterThanOrEqual(2 * MB);
    expect(unnamed - named).toBeLessThan(3 * MB);
    expect(countDeleted([process.pid], device, new Set([fileKey(held)]))).toBe(named);
    expect(countDeleted([process.pid], new Set(), new Set())).toBe(0);
    for (const descriptor of [held, again]) closeSync(descriptor);
    expect(countDeleted([process.pid], device, new Set())).toBe(named);
  });

  test('of a process that is gone takes nothing', () => {
    expect(countDeleted([2 ** 30], new Set([statSync(folder).dev]), new Set())).toBe(0);
  });
});
