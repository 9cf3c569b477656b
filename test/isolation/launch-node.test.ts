import { chmodSync, existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRoot, type Launch, lacks, launch, OTHER_USER } from './launched-program.ts';

// Node itself as a tool under `strict` and Landlock: whatever Node offers must work or fail with a
// plain error. Further versions are named by ENFORCECORE_TEST_NODES=/path/to/node:/path/to/another.

const TOOL = resolve('test/fixtures/tools/every-node-api.mjs');
const { ENFORCECORE_TEST_NODES = '' } = process.env;
const nodes = [
  process.execPath,
  ...ENFORCECORE_TEST_NODES.split(':').filter((path) => path !== ''),
];

/** What no tool may do without a network. Everything else must work. */
const NO_NETWORK = { 'net.listen': 'EAFNOSUPPORT', 'unix listen': 'EAFNOSUPPORT' };
const NO_PROCESS = { spawnSync: 'EPERM', spawn: 'EPERM', 'spawn detached': 'EPERM' };
/** With the supervisor's own user, and nothing but Landlock around it. */
const NO_METADATA = {
  'fs.chmod': 'EPERM',
  'fs.cp': 'EPERM', // of a folder: gives the copy the mode of the original, by path
  'fs.utimes': 'EPERM',
  'fs.lutimes': 'EPERM',
  'fs.watch': 'EPERM',
};
const NO_INTERFACES = { 'os.networkInterfaces': 'ERR_SYSTEM_ERROR' };
const NO_NAME = { 'os.userInfo': 'ERR_SYSTEM_ERROR' }; // the user is in no passwd file
const OWN_NAME = hasName() ? {} : NO_NAME;
const NO_PROC = {
  'process.memoryUsage': 'EACCES',
  'process.memoryUsage.rss': 'EACCES',
};

let scratch: string;
beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'node-tool-')));
  chmodSync(scratch, 0o777);
});
afterEach(() => rmSync(scratch, { recursive: true }));

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

async function failures(node: string, options: Partial<Launch>): Promise<Record<string, string>> {
  const ended = await launch({
    argv: [node, TOOL],
    cwd: scratch,
    env: { HOME: scratch, TMPDIR: scratch },
    ...options,
    landlock: { read: [TOOL], write: [scratch], execute: ['/usr/bin'], ...options.landlock },
  });
  expect(ended).toMatchObject({ exitCode: 0, outcome: { state: 'executed' } });
  const results: Record<string, string> = JSON.parse(ended.stdout.split('\n').at(-1) ?? '');
  expect(Object.keys(results).length).toBeGreaterThan(80);
  return Object.fromEntries(Object.entries(results).filter(([, result]) => result !== 'ok'));
}

describe.each(nodes)('%s under strict', { timeout: 30_000 }, (node) => {
  test.skipIf(lacks('node', existsSync(node)))('works as the user of the supervisor', async () => {
    expect(await failures(node, {})).toEqual({
      ...OWN_NAME,
      ...NO_NETWORK,
      ...NO_PROCESS,
      ...NO_METADATA,
      ...NO_INTERFACES,
    });
  });

  test('works with processes and a network', async () => {
    const situation = { exec: 'any', network: 'unrestricted' } as const;
    const landlock = { denyTcpAndUdp: false };
    expect(await failures(node, { situation, landlock })).toEqual({
      'unix listen': 'EAFNOSUPPORT',
      ...OWN_NAME,
      ...NO_METADATA,
    });
  });

  test('works where signals must be denied by the filter', async () => {
    expect(await failures(node, { situation: { landlockAbi: 1 } })).toEqual({
      ...OWN_NAME,
      ...NO_NETWORK,
      ...NO_PROCESS,
      ...NO_METADATA,
      ...NO_INTERFACES,
    });
  });

  test('works with the filter of tier `isolated`', async () => {
    const situation = { tier: 'isolated', exec: 'any' } as const;
    expect(await failures(node, { situation })).toEqual({ ...NO_NETWORK, ...OWN_NAME });
  });

  test.skipIf(lacks('root', isRoot))('works as another user', async () => {
    const ended = await failures(node, {
      table: { identity: OTHER_USER },
      situation: { sameUid: false },
    });
    expect(ended).toEqual({ ...NO_NETWORK, ...NO_PROCESS, ...NO_INTERFACES, ...NO_NAME });
  });

  test.skipIf(lacks('root', isRoot))('works for a supervisor that is not root', async () => {
    expect(await failures(node, { startAs: OTHER_USER })).toEqual({
      ...NO_NETWORK,
      ...NO_PROCESS,
      ...NO_METADATA,
      ...NO_INTERFACES,
      ...NO_NAME,
    });
  });

  test('can do without its own /proc', async () => {
    expect(await failures(node, { landlock: { ownProc: false } })).toMatchObject(NO_PROC);
  });
});
