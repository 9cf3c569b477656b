import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { canaryRows, probeLayers } from '../../src/isolation/host-support.ts';
import { bubblewrapShortfall } from '../../src/isolation/host-support-bubblewrap.ts';
import { runLauncher } from '../../src/isolation/launcher-run.ts';
import { probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { isRoot, lacks, ordinaryUser } from './host-layers.ts';

test.each([
  ['bwrap: setting up uid map: Permission denied', 'AppArmor'],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', 'AppArmor'],
  ['bwrap: No permissions to creating new namespace, likely because the kernel…', 'containers'],
  ['bwrap: Creating new namespace failed: Operation not permitted', 'containers'],
  ['bwrap: Creating new namespace failed: No space left on device', 'limit of user namespaces'],
  ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", 'private /proc'],
  ['bwrap: Unknown option --perms', 'older than 0.8'],
  ['bwrap: something new\nsecond line', 'something new'],
  ['', 'it says nothing'],
])('explains %j', (stderr, cause) => {
  const shortfall = bubblewrapShortfall(stderr);
  expect(shortfall.cause).toContain(cause);
  expect(shortfall.cause).not.toContain('\n');
  expect(shortfall.remedy).not.toBe('');
  // It weakens the whole host, and an own profile is enough.
  expect(shortfall.remedy).not.toContain('apparmor_restrict_unprivileged_userns');
});

const host = await probeLinuxHost();
afterAll(() => {
  if ('launcher' in host) host.launcher.close();
});

describe.skipIf('cause' in host)('on this host', () => {
  test('every layer is named once and says what it found, or why not and what to do', async () => {
    const layers = await probeLayers(host);
    expect(new Set(layers.map(({ layer }) => layer)).size).toBe(layers.length);
    for (const { works, cause, remedy } of layers)
      expect([cause, remedy].map((text) => typeof text)).toEqual(
        works ? ['undefined', 'undefined'] : ['string', 'string'],
      );
    expect(layers.find(({ layer }) => layer === 'confinement')).toMatchObject({ works: true });
    expect(layers.find(({ layer }) => layer === 'landlock')?.detail).toMatch(/^ABI \d/);
  });

  test('a process that is not confined fails the same canary at its first attempt', async () => {
    if ('cause' in host) return;
    const attempts = canaryRows(host).slice(-5);
    const { exitCode } = await runLauncher(host.launcher, attempts);
    expect(exitCode).toBe(125);
    for (const attempt of attempts.slice(0, 3)) {
      const alone = await runLauncher(host.launcher, [attempt, ...attempts.slice(-1)]);
      expect(alone.exitCode, attempt.purpose).toBe(125);
    }
  });

  test('what is missing is named with its own cause, or a general one', async () => {
    if ('cause' in host) return;
    const shortfall = { cause: 'c', remedy: 'r' };
    const cgroups = { ...host.cgroups, works: true, layers: ['cgroup-memory'], shortfall: null };
    const poor = { ...host, identities: null, bubblewrap: shortfall, cgroups, landlockAbi: 1 };
    const layers = new Map((await probeLayers(poor)).map((each) => [each.layer, each]));
    expect(layers.get('bubblewrap')).toMatchObject({ works: false, ...shortfall });
    expect(layers.get('own-user')).toMatchObject({ works: false });
    expect(layers.get('cgroup-memory')).toMatchObject({ works: true });
    expect(layers.get('cgroup-cpu')?.remedy).toContain('Delegate');
    expect(layers.get('landlock')?.detail).toContain('no-truncate');
  });

  test('a launcher that does not confine is not taken for one that does', async () => {
    if ('cause' in host) return;
    const broken = { ...host, launcher: { ...host.launcher, path: '/bin/false' } };
    const layers = await probeLayers(broken);
    expect(layers.find(({ layer }) => layer === 'confinement')).toMatchObject({ works: false });
  });

  test.skipIf(lacks('root', isRoot))(
    'an ordinary user is told what is missing for it alone',
    () => {
      const script = `import { probeLayers } from '${resolve('dist/src/isolation/host-support.js')}';
      import { probeLinuxHost } from '${resolve('dist/src/isolation/linux-host.js')}';
      console.log(JSON.stringify(await probeLayers(await probeLinuxHost()))); process.exit()`;
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        ...ordinaryUser,
        encoding: 'utf8',
      });
      const works = Object.fromEntries(
        (JSON.parse(stdout) as { layer: string; works: boolean }[]).map(({ layer, works }) => [
          layer,
          works,
        ]),
      );
      expect(works).toMatchObject({
        launcher: true,
        landlock: true,
        confinement: true,
        'own-user': false,
      });
      expect(works['cgroup-memory']).toBe(false);
    },
  );
});

test('a host on which nothing works is one line with cause and remedy', async () => {
  expect(await probeLayers({ cause: 'c', remedy: 'r' })).toEqual([
    { layer: 'launcher', works: false, cause: 'c', remedy: 'r' },
  ]);
});
