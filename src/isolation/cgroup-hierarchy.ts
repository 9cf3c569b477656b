import { join } from 'node:path';

/** The controllers that limit a call. `cpuacct` is v1's name for counting CPU time. */
export const CONTROLLERS = ['memory', 'pids', 'cpu', 'cpuacct'] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** One tree of control groups, and the place of this process in it. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Of those that limit a call; empty for a cgroup2 tree that only kills. */
  readonly controllers: readonly Controller[];
  /** The group of this process, as a folder. */
  readonly folder: string;
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/**
 * The control groups this process is in, by the two files of /proc that say so. On a hybrid host
 * controllers are in v1 trees, one or more in each, and a cgroup2 tree without any lies beside.
 *
 * @param mountinfo - text of `/proc/self/mountinfo`
 * @param membership - text of `/proc/self/cgroup`
 * @see proc_pid_mountinfo(5), cgroups(7)
 */
export function ownHierarchies(mountinfo: string, membership: string): readonly Hierarchy[] {
  const mounts = mountinfo.split('\n').flatMap(parseMount);
  return membership.split('\n').flatMap((line) => {
    const [, names = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === '') return [];
    const mount = mounts.find(({ type, options }) =>
      names === ''
        ? type === 'cgroup2'
        : type === 'cgroup' && names.split(',').every((name) => options.includes(name)),
    );
    const folder = mount === undefined ? null : folderOf(mount, path);
    if (folder === null) return [];
    const controllers = CONTROLLERS.filter((name) => names.split(',').includes(name));
    if (names !== '' && controllers.length === 0) return [];
    return [{ version: names === '' ? (2 as const) : (1 as const), controllers, folder }];
  });
}

function parseMount(line: string): readonly Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , root, point] = before.split(' ').map(decodeOctal);
  const [type, , options = ''] = after.split(' ');
  if (root === undefined || point === undefined || type === undefined) return [];
  return [{ root, point, type, options: options.split(',') }];
}

const decodeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

/** In a container the mount shows a part of the tree; a group outside of it cannot be used. */
function folderOf({ root, point }: Mount, path: string): string | null {
  if (path.split('/').includes('..')) return null;
  if (root === '/') return join(point, path).replace(/(?<=.)\/$/, '');
  if (path === root || path.startsWith(`${root}/`)) return join(point, path.slice(root.length));
  return path === '/' ? point : null;
}
