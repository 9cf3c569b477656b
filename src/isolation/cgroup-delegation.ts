import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { type GroupFiles, hostGroupFiles } from './cgroup-files.ts';
import { CONTROLLERS, type Controller, type Hierarchy } from './cgroup-hierarchy.ts';
import { groupName, thisOwner } from './cgroup-owner.ts';
import type { Shortfall } from './host-support-error.ts';

const SUPERVISOR_GROUP = 'enforcecore-supervisor';

/** How an ordinary user gets a group that can be divided. */
export const DELEGATE = 'start it with `systemd-run --user --scope -p Delegate=yes -- <command>`';

/**
 * The group in which calls can have groups with limits, from the one this process is in.
 *
 * On v1 that is the same group, if a folder can be made in it. On v2 a group with processes cannot
 * have children with limits, so this process moves into a child of its own,
 * `enforcecore-supervisor`; where other processes share the group it moves back and says so.
 *
 * @see cgroups(7), "no internal processes"
 */
export function prepareHierarchy(
  own: Hierarchy,
  files: GroupFiles = hostGroupFiles,
): Hierarchy | Shortfall {
  return own.version === 1 ? prepareV1(own, files) : prepareV2(own, files);
}

function prepareV1(own: Hierarchy, files: GroupFiles): Hierarchy | Shortfall {
  const probe = join(own.folder, groupName(thisOwner(), randomBytes(8).toString('hex')));
  try {
    files.make(probe);
    files.remove(probe);
    return own;
  } catch (error) {
    return {
      cause: `no group can be made in \`${own.folder}\` (${messageOf(error)})`,
      remedy: 'run the supervisor as root, or on a host with cgroup v2',
    };
  }
}

function prepareV2(own: Hierarchy, files: GroupFiles): Hierarchy | Shortfall {
  const folder = basename(own.folder) === SUPERVISOR_GROUP ? dirname(own.folder) : own.folder;
  const words = (name: string) => files.read(join(folder, name)).trim().split(' ');
  const controllers = CONTROLLERS.filter((name) => words('cgroup.controllers').includes(name));
  const enabled = words('cgroup.subtree_control');
  try {
    if (controllers.some((name) => !enabled.includes(name)))
      enableControllers(folder, controllers, files);
    return { version: 2, controllers, folder };
  } catch (error) {
    return {
      cause: `\`${folder}\` cannot be divided into groups with limits (${messageOf(error)})`,
      remedy: DELEGATE,
    };
  }
}

function enableControllers(
  folder: string,
  controllers: readonly Controller[],
  files: GroupFiles,
): void {
  const control = controllers.map((name) => `+${name}`).join(' ');
  const enable = () => files.write(join(folder, 'cgroup.subtree_control'), control);
  // Only the root of all groups has no type; it alone may hold processes beside limited groups.
  if (!files.exists(join(folder, 'cgroup.type'))) {
    enable();
    return;
  }
  const leaf = join(folder, SUPERVISOR_GROUP);
  const isNew = !files.exists(leaf);
  if (isNew) files.make(leaf);
  try {
    files.write(join(leaf, 'cgroup.procs'), '0');
    enable();
  } catch (error) {
    // EBUSY: other processes share the group. Back to where this process was.
    if (isNew) {
      files.write(join(folder, 'cgroup.procs'), '0');
      files.remove(leaf);
    }
    throw error;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');
