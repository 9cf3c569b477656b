import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PinnedPaths } from '../../src/isolation/pinned-paths.ts';

let folder = '';
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'pinned-')));
  mkdirSync(join(folder, 'one'));
  mkdirSync(join(folder, 'two'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const rules = (path: string, of: 'read' | 'write' | 'execute' = 'read') => ({
  ...{ read: [], write: [], deny: [], execute: [] },
  [of]: [path],
});

test.each(['read', 'write', 'execute'] as const)(
  'a %s path that became a link is refused',
  (of) => {
    const pinned = new PinnedPaths();
    pinned.check(rules(join(folder, 'one'), of));
    pinned.check(rules(join(folder, 'one'), of));
    renameSync(join(folder, 'one'), join(folder, 'away'));
    // Gone: the view refuses it; that is no swap.
    pinned.check(rules(join(folder, 'one'), of));
    symlinkSync('two', join(folder, 'one'));
    expect(() => pinned.check(rules(join(folder, 'one'), of))).toThrow(
      `leads to \`${folder}/two\` now`,
    );
  },
);

test('a link may stay a link, and may not be turned', () => {
  const link = join(folder, 'link');
  symlinkSync('one', link);
  const pinned = new PinnedPaths();
  pinned.check(rules(link));
  pinned.check(rules(link, 'write'));
  rmSync(link);
  symlinkSync('two', link);
  expect(() => pinned.check(rules(link))).toThrow(/first use/);
  // Another supervisor starts with what is there.
  new PinnedPaths().check(rules(link));
});
