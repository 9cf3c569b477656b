import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  buildFilesystemView,
  type FilesystemViewInput,
} from '../../src/isolation/filesystem-view.ts';
import { recordView, ViewCache, withGranted } from '../../src/isolation/filesystem-view-cache.ts';
import { hostFiles } from '../../src/isolation/filesystem-view-files.ts';

let folder: string;
let input: FilesystemViewInput;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'view-cache-')));
  mkdirSync(join(folder, 'lib'));
  mkdirSync(join(folder, 'node_modules', 'a'), { recursive: true });
  for (const file of ['package.json', 'tool.js', 'lib/x.js', 'node_modules/a/package.json'])
    writeFileSync(join(folder, file), '{}');
  input = {
    entry: join(folder, 'tool.js'),
    kind: 'module',
    rules: { read: [], write: [], deny: [], execute: [] },
    tier: 'isolated',
    profile: 'strict',
    nodePath: realpathSync(process.execPath),
    runtimeDir: join(folder, 'lib'),
    home: '/nobody',
    protectedPaths: [],
    scratch: '/tmp/scratch-1',
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string) => writeFileSync(join(folder, name), 'x');

/** Entries of folders are stamped as if all had been left alone for a long time. */
const settled = {
  realPath: hostFiles.realPath,
  kind: hostFiles.kind,
  stamp: (path: string) => JSON.stringify(hostFiles.entries(path)),
};

test('a recorded view is the view', () => {
  expect(recordView(input).view).toEqual(buildFilesystemView(input));
});

describe.each([
  ['read again', undefined],
  ['stamped', settled],
] as const)('a view whose folders are %s', (_how, again) => {
  const recorded = () => recordView(input, hostFiles, again);

  test('holds while nothing changes, and while files change that it does not ask for', () => {
    const { isCurrent } = recorded();
    expect(isCurrent()).toBe(true);
    writeFileSync(join(folder, 'lib/x.js'), 'other code');
    expect(isCurrent()).toBe(true);
  });

  test.each([
    ['a secret appears', () => put('.env')],
    ['a secret appears further down', () => put('lib/id_rsa')],
    [
      'a folder becomes a link',
      () => {
        renameSync(join(folder, 'lib'), join(folder, 'was'));
        symlinkSync(join(folder, 'was'), join(folder, 'lib'));
      },
    ],
    ['a package is linked in', () => symlinkSync(tmpdir(), join(folder, 'node_modules', 'b'))],
    ['the package ends to be one', () => unlinkSync(join(folder, 'package.json'))],
    ['the modules go', () => rmSync(join(folder, 'node_modules'), { recursive: true })],
  ])('no longer holds when %s', (_what, change) => {
    const { isCurrent } = recorded();
    change();
    expect(isCurrent()).toBe(false);
  });
});

test('a folder that changed just now is read again: its clock may not have ticked since', () => {
  const { isCurrent } = recordView(input);
  // Within the same tick, and to the same number of entries.
  renameSync(join(folder, 'lib', 'x.js'), join(folder, 'lib', '.env'));
  expect(isCurrent()).toBe(false);
});

describe('what is granted', () => {
  const same = (paths: readonly string[]) => paths;

  test('holds while it is the same files', () => {
    expect(withGranted(recordView(input), same).isCurrent()).toBe(true);
  });

  test('does not hold when a folder was replaced by an equal one', () => {
    const root = join(folder, 'node_modules', 'a');
    const policy = { ...input, rules: { ...input.rules, read: [root] } };
    const base = { ...policy, entry: '/usr/bin/env' };
    const { isCurrent } = withGranted(recordView(base), same);
    expect(isCurrent()).toBe(true);
    renameSync(root, join(folder, 'old'));
    mkdirSync(root);
    writeFileSync(join(root, 'package.json'), '{}');
    expect(isCurrent()).toBe(false);
  });

  test('does not hold when other parts of it are open', () => {
    let open = same;
    const { isCurrent } = withGranted(recordView(input), (paths) => open(paths));
    open = (paths) => paths.slice(1);
    expect(isCurrent()).toBe(false);
    open = () => {
      throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    };
    expect(isCurrent()).toBe(false);
  });
});

describe('the cache', () => {
  test('gives each call its own scratch folder, and nothing of another', () => {
    const cache = new ViewCache();
    for (const scratch of ['/tmp/scratch-1', '/tmp/scratch-2', '/tmp/scratch-3']) {
      const call = { ...input, scratch };
      expect(cache.view(call).view).toEqual(buildFilesystemView(call));
    }
  });

  test('computes again what changed', () => {
    const cache = new ViewCache();
    cache.view(input);
    put('.env');
    const { view } = cache.view(input);
    expect(view).toEqual(buildFilesystemView(input));
    expect(view.read).not.toContain(folder);
  });

  test.each([
    ['rules', { rules: { read: [], write: [], deny: ['/usr/share'], execute: [] } }],
    ['tier', { tier: 'hardened' }],
    ['protected paths', { protectedPaths: ['/var/trail'] }],
    ['profile', { profile: 'compat' }],
  ] as const)('tells calls apart by %s', (_what, change) => {
    const cache = new ViewCache();
    cache.view(input);
    const call = { ...input, ...change };
    expect(cache.view(call).view).toEqual(buildFilesystemView(call));
  });

  test('keeps no refusal', () => {
    const cache = new ViewCache();
    const call = { ...input, rules: { ...input.rules, deny: [folder] } };
    for (let round = 0; round < 2; round += 1) expect(() => cache.view(call)).toThrow();
    expect(cache.view(input).view).toEqual(buildFilesystemView(input));
  });

  test('forgets what was not asked for lately', () => {
    const cache = new ViewCache();
    const first = cache.view(input);
    for (let n = 0; n < 64; n += 1) cache.view({ ...input, home: `/home/${n}` });
    expect(cache.view(input).isCurrent).not.toBe(first.isCurrent);
    chmodSync(folder, 0o755);
  });
});
