import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createScratch, removeScratch, sweepScratch } from '../../src/isolation/scratch.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scratch-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('makes a folder that is private and names its supervisor', async () => {
  const path = await createScratch(root);
  expect(path).toContain(`enforcecore-${process.pid}-`);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await createScratch(root)).not.toBe(path);
});

describe('removeScratch', () => {
  test('removes whatever a tool left, and does not follow links', async () => {
    const outside = join(root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'kept'), 'x');
    const path = await createScratch(root);
    mkdirSync(join(path, 'a/b/c'), { recursive: true });
    writeFileSync(join(path, 'a/b/file'), 'x');
    symlinkSync(outside, join(path, 'a/link'));
    symlinkSync('/nonexistent', join(path, 'dangling'));
    spawnSync('mkfifo', [join(path, 'fifo')]);
    chmodSync(join(path, 'a/b'), 0);
    chmodSync(join(path, 'a'), 0);
    await removeScratch(path);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(outside)).toEqual(['kept']);
  });

  test('is content when the tool removed the folder itself', async () => {
    const path = await createScratch(root);
    rmSync(path, { recursive: true });
    await removeScratch(path);
    expect(existsSync(path)).toBe(false);
  });
});

describe('sweepScratch', () => {
  const DEAD = 4_000_000;
  const isAlive = (pid: number) => pid !== DEAD;

  /** Folders of a root after a sweep, all made before. */
  async function sweptOf(...names: readonly string[]) {
    for (const name of names) mkdirSync(join(root, name));
    const removed = await sweepScratch(root, isAlive);
    return { removed, left: readdirSync(root).sort() };
  }

  test('removes what a supervisor left that no longer lives', async () => {
    const left = await sweptOf(`enforcecore-${DEAD}-aB3dEf`, `enforcecore-${process.pid}-aB3dEf`);
    expect(left).toEqual({ removed: 1, left: [`enforcecore-${process.pid}-aB3dEf`] });
  });

  test.each([
    [`enforcecore-${DEAD}-short`],
    [`enforcecore-${DEAD}-toolong`],
    [`enforcecore-${DEAD}`],
    [`xenforcecore-${DEAD}-aB3dEf`],
    [`enforcecore-${DEAD}x-aB3dEf`],
    ['enforcecore--aB3dEf'],
  ])('leaves %s, which is not a name of ours', async (name) => {
    expect(await sweptOf(name)).toEqual({ removed: 0, left: [name] });
  });

  test('leaves a file and a link with our name', async () => {
    const target = join(root, 'target');
    mkdirSync(target);
    writeFileSync(join(target, 'kept'), 'x');
    writeFileSync(join(root, `enforcecore-${DEAD}-aaaaaa`), 'x');
    symlinkSync(target, join(root, `enforcecore-${DEAD}-bbbbbb`));
    expect(await sweepScratch(root, isAlive)).toBe(0);
    expect(lstatSync(join(root, `enforcecore-${DEAD}-bbbbbb`)).isSymbolicLink()).toBe(true);
    expect(readdirSync(target)).toEqual(['kept']);
  });

  test('goes on after a folder that cannot be removed', async () => {
    const names = [`enforcecore-${DEAD}-aaaaaa`, `enforcecore-${DEAD}-bbbbbb`];
    for (const name of names) mkdirSync(join(root, name));
    const refuse = async (path: string) => {
      if (path.endsWith('aaaaaa')) throw Object.assign(new Error('busy'), { code: 'EBUSY' });
      await removeScratch(path);
    };
    expect(await sweepScratch(root, isAlive, refuse)).toBe(1);
    expect(readdirSync(root)).toEqual([`enforcecore-${DEAD}-aaaaaa`]);
  });

  test('is no error where there is no such folder', async () => {
    expect(await sweepScratch(join(root, 'missing'), isAlive)).toBe(0);
  });
});
