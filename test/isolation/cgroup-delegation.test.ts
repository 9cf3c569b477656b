import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareHierarchy } from '../../src/isolation/cgroup-delegation.ts';
import { type GroupFiles, hostGroupFiles } from '../../src/isolation/cgroup-files.ts';
import { probeCgroups } from '../../src/isolation/cgroup-probe.ts';

const SCOPE = '/sys/fs/cgroup/user/app.scope';

/** A cgroup2 tree in memory with its rule: limits below a group only when it has no processes. */
function fakeGroups(start: {
  readonly processes: readonly string[];
  readonly enabled?: string;
  readonly isRoot?: boolean;
  readonly readOnly?: boolean;
}) {
  const members = new Map([[SCOPE, new Set(start.processes)]]);
  let enabled = start.enabled ?? '';
  const denied = () => {
    if (start.readOnly === true) throw new Error('EROFS');
  };
  const files: GroupFiles = {
    read: (path) => {
      if (path === join(SCOPE, 'cgroup.controllers')) return 'cpuset cpu io memory pids\n';
      return path === join(SCOPE, 'cgroup.subtree_control') ? `${enabled}\n` : '';
    },
    exists: (path) => members.has(path) || (path.endsWith('cgroup.type') && start.isRoot !== true),
    make: (folder) => {
      denied();
      members.set(folder, new Set());
    },
    remove: (folder) => {
      if (members.get(folder)?.size !== 0) throw new Error('EBUSY');
      members.delete(folder);
    },
    write: (path, value) => {
      denied();
      if (path.endsWith('cgroup.procs')) {
        for (const group of members.values()) group.delete('self');
        members.get(dirname(path))?.add('self');
      } else {
        if (start.isRoot !== true && members.get(SCOPE)?.size !== 0) throw new Error('EBUSY');
        enabled = value.replaceAll('+', '');
      }
    },
  };
  return { files, members, enabled: () => enabled };
}
const own = (folder = SCOPE) => ({ version: 2 as const, controllers: [], folder });

test('moves the supervisor into a group of its own and enables limits beside it', () => {
  const groups = fakeGroups({ processes: ['self'] });
  expect(prepareHierarchy(own(), groups.files)).toEqual({
    version: 2,
    controllers: ['memory', 'pids', 'cpu'],
    folder: SCOPE,
  });
  expect(groups.enabled()).toBe('memory pids cpu');
  expect([...(groups.members.get(`${SCOPE}/enforcecore-supervisor`) ?? [])]).toEqual(['self']);
});

test('moves back and says so where others share the group', () => {
  const groups = fakeGroups({ processes: ['self', 'shell'] });
  const result = prepareHierarchy(own(), groups.files);
  expect(result).toMatchObject({
    cause: expect.stringContaining('EBUSY'),
    remedy: expect.stringContaining('systemd-run'),
  });
  expect([...(groups.members.get(SCOPE) ?? [])].sort()).toEqual(['self', 'shell']);
  expect(groups.members.has(`${SCOPE}/enforcecore-supervisor`)).toBe(false);
});

test('uses the group above when this process is in the supervisor’s group already', () => {
  const groups = fakeGroups({ processes: [], enabled: 'cpu memory pids' });
  const result = prepareHierarchy(own(`${SCOPE}/enforcecore-supervisor`), groups.files);
  expect(result).toMatchObject({ folder: SCOPE, controllers: ['memory', 'pids', 'cpu'] });
});

test('moves nobody where limits are enabled already, or in the root of all groups', () => {
  const enabled = fakeGroups({ processes: ['self'], enabled: 'cpu memory pids' });
  expect(prepareHierarchy(own(), enabled.files)).toMatchObject({ folder: SCOPE });
  const root = fakeGroups({ processes: ['self', 'init'], isRoot: true });
  expect(prepareHierarchy(own(), root.files)).toMatchObject({ folder: SCOPE });
  for (const groups of [enabled, root]) expect([...groups.members.keys()]).toEqual([SCOPE]);
});

test('says why a tree that is read-only cannot be used, on both versions', () => {
  const { files } = fakeGroups({ processes: ['self'], readOnly: true });
  for (const version of [1, 2] as const)
    expect(prepareHierarchy({ ...own(), version }, files)).toMatchObject({
      cause: expect.stringContaining('EROFS'),
      remedy: expect.any(String),
    });
});

test('a tree that takes folders but no limits is not usable, and nothing is left in it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tree-'));
  const read = (path: string) =>
    ({
      '/proc/self/mountinfo': `30 29 0:26 / ${folder} rw - cgroup cgroup rw,memory\n`,
      '/proc/self/cgroup': '4:memory:/\n',
    })[path] ?? '';
  const support = await probeCgroups({ ...hostGroupFiles, read });
  expect(support).toMatchObject({ works: false });
  expect(support.shortfall?.cause).toContain('ENOENT');
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test('a host without groups, or with groups that only kill, gets a cause and a remedy', async () => {
  const { files } = fakeGroups({ processes: [] });
  for (const mountinfo of ['', '30 29 0:26 / /nowhere rw - cgroup2 cgroup2 rw\n']) {
    const read = (path: string) =>
      ({ '/proc/self/mountinfo': mountinfo, '/proc/self/cgroup': '0::/\n' })[path] ?? '';
    const support = await probeCgroups({ ...files, read });
    expect(support).toMatchObject({ works: false, layers: [], hierarchies: [] });
    expect(support.shortfall?.cause).toBe('no control groups are mounted');
  }
});
