import { release } from 'node:os';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kernelVersion } from '../../src/isolation/linux-host.ts';
import { isRoot, launch, launcher, OTHER_USER } from '../isolation/launched-program.ts';
import { tool } from './attempt.ts';
import { dockerLikeFilter } from './docker-like-profile.ts';

// The supervisor itself runs in a container as most are: under a filter without namespaces and
// mounts. There is no `isolated` then, and `hardened` must hold what it claims.

const isSlow = process.env['ENFORCECORE_TEST_SLOW'] === '1';
/** In the fast suite, attacks of every kind; in the slow one, all. */
const PATTERN = isSlow
  ? '^.* hardened: '
  : '^.* hardened: (reads|kills|attaches|lowers the p|connects to a|leaves a daemon|opens sockets|makes a user|keeps)';

interface Said {
  readonly tiers: readonly string[];
  readonly shortfalls: readonly { readonly tier: string; readonly cause: string }[];
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

/** Everything of a container that matters here: a user, its capabilities and the filter. */
async function inContainer(
  user: typeof OTHER_USER | null,
  { pattern, without = [] }: { readonly pattern?: string; readonly without?: readonly string[] },
): Promise<Said> {
  const seccomp = dockerLikeFilter(launcher.architecture, kernelVersion(release()), without);
  const { stdout, stderr } = await launch({
    argv: [process.execPath, tool('nested-suite.mjs'), ...(pattern === undefined ? [] : [pattern])],
    landlock: null,
    profile: null,
    cwd: resolve('.'),
    env: { PATH: process.env['PATH'] ?? '', HOME: '/tmp' },
    table: {
      rlimits: { nofile: 4096, fsizeBytes: 2 ** 32, core: 0 },
      identity: user,
      keepCapabilities: user === null,
      seccomp,
    },
  });
  const said = /^SAID (.*)$/m.exec(stdout)?.[1];
  if (said === undefined) throw new Error(`it did not run: ${stderr.slice(-2000)}`);
  return JSON.parse(said) as Said;
}

const USERS: readonly (readonly [string, typeof OTHER_USER | null, boolean])[] = [
  ['an ordinary user', isRoot ? OTHER_USER : null, true],
  ['root', null, isRoot],
];

describe.each(USERS)('in a container, as %s', (_who, user, works) => {
  test.skipIf(!works)(
    'attacks on `hardened` are contained, and there is no `isolated`',
    async () => {
      const said = await inContainer(user, { pattern: PATTERN });
      expect(said.failed).toEqual([]);
      expect(said.passed.length).toBeGreaterThan(isSlow ? 60 : 12);
      expect(said.tiers).toEqual(['hardened', 'process', 'thread']);
      expect(said.shortfalls).toMatchObject([{ tier: 'isolated', cause: expect.any(String) }]);
    },
    isSlow ? 1_800_000 : 120_000,
  );

  test.skipIf(!works)(
    'fc-04: a kernel without Landlock has no `hardened`, and says so',
    async () => {
      const said = await inContainer(user, { without: ['landlock_create_ruleset'] });
      expect(said.tiers).toEqual(['process', 'thread']);
      expect(said.shortfalls.map(({ tier }) => tier)).toEqual(['hardened', 'isolated']);
      expect(said.shortfalls[0]?.cause).toContain('Landlock');
    },
  );
});
