import { spawnSync } from 'node:child_process';

const { ENFORCECORE_TEST_REQUIRE = '' } = process.env;
const REQUIRED = new Set(ENFORCECORE_TEST_REQUIRE.split(','));

/**
 * For `test.skipIf`: true when this host lacks a layer. Says so, and throws where the environment
 * variable ENFORCECORE_TEST_REQUIRE names the layer, so that a missing one cannot pass unnoticed.
 */
export function lacks(layer: 'bwrap' | 'cgroup' | 'root' | 'vm', works: boolean): boolean {
  if (works) return false;
  if (REQUIRED.has(layer))
    throw new Error(`ENFORCECORE_TEST_REQUIRE names ${layer}, which fails here`);
  process.stderr.write(`SKIPPED: tests of \`${layer}\`, which does not work on this host\n`);
  return true;
}

export const isRoot: boolean = process.getuid?.() === 0;

/** Who starts things in tests of an ordinary user's supervisor. */
export const ordinaryUser: { uid: number; gid: number } = isRoot
  ? { uid: 65534, gid: 65534 }
  : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** Whether bwrap starts with a user namespace as an ordinary user. */
export function bubblewrapWorks(): boolean {
  const root = [
    '--ro-bind',
    '/usr',
    '/usr',
    '--symlink',
    'usr/lib',
    '/lib',
    '--symlink',
    'usr/lib64',
    '/lib64',
  ];
  const { status } = spawnSync('bwrap', ['--unshare-all', ...root, '/usr/bin/true'], {
    ...(isRoot ? ordinaryUser : {}),
    timeout: 5000,
  });
  return status === 0;
}
