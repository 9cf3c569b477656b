import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Layer, Limits } from '../call.ts';
import {
  type CallCgroup,
  callCgroup,
  type GroupFolder,
  killGroup,
  removeGroup,
} from './cgroup-call.ts';
import { DELEGATE } from './cgroup-delegation.ts';
import { hostGroupFiles } from './cgroup-files.ts';
import type { Controller, Hierarchy } from './cgroup-hierarchy.ts';
import { groupName, isOrphaned, thisOwner } from './cgroup-owner.ts';
import { type GroupOptions, groupSettings } from './cgroup-settings.ts';
import { isolationUnavailable, type Shortfall } from './host-support-error.ts';

/**
 * Where this process can make groups, found by making one. `shortfall` says why there is none, or
 * what the host's groups lack.
 */
export interface CgroupSupport {
  readonly works: boolean;
  /** In each of these trees a call gets a group. */
  readonly hierarchies: readonly Hierarchy[];
  /** What a call's group holds the tool to: `cgroup-memory`, `cgroup-pids`, `cgroup-cpu`, `cgroup-kill`. */
  readonly layers: readonly Layer[];
  readonly shortfall: Shortfall | null;
}

/** Node starts with 11 threads (measured, ESM), bwrap adds two processes; the rest is slack. */
const OPTIONS: GroupOptions = { ownTasks: 16, cpuWeight: 50, cpus: Number.POSITIVE_INFINITY };

/**
 * A group for one call, with its limits set; its processes are put in by the launcher.
 *
 * @throws {IsolationUnavailableError} when the host has no usable groups or refuses a limit;
 * nothing of the group is left then
 */
export async function createCallCgroup(
  support: CgroupSupport,
  limits: Limits,
  options: Partial<GroupOptions> = {},
): Promise<CallCgroup> {
  if (!support.works)
    throw isolationUnavailable(
      support.shortfall ?? { cause: 'no control groups', remedy: DELEGATE },
    );
  const name = groupName(thisOwner(), randomBytes(8).toString('hex'));
  const folders: GroupFolder[] = [];
  const missing: Layer[] = [];
  try {
    for (const hierarchy of support.hierarchies) {
      const folder = join(hierarchy.folder, name);
      mkdirSync(folder);
      folders.push({ ...hierarchy, folder });
      for (const controller of hierarchy.controllers)
        missing.push(...applySettings(folder, hierarchy.version, controller, limits, options));
    }
  } catch (error) {
    await removeGroup(folders);
    const message = error instanceof Error ? error.message : 'unknown';
    throw isolationUnavailable(
      { cause: `a control group cannot be set up (${message})`, remedy: DELEGATE },
      error,
    );
  }
  const unbounded = hostHasSwap() ? missing : missing.filter((layer) => layer !== 'swap-unbounded');
  return callCgroup(folders, [...support.layers, ...unbounded]);
}

/**
 * Kills and removes the groups of supervisors of this pid namespace that no longer run.
 *
 * @returns the names of those that were removed
 */
export async function sweepCgroups(hierarchies: readonly Hierarchy[]): Promise<readonly string[]> {
  const here = thisOwner();
  const names = new Set(
    hierarchies
      .flatMap(({ folder }) => readdirSync(folder))
      .filter((name) => isOrphaned(name, here)),
  );
  for (const name of names) {
    const folders = hierarchies
      .map((hierarchy) => ({ ...hierarchy, folder: join(hierarchy.folder, name) }))
      .filter(({ folder }) => existsSync(folder));
    await killGroup(folders);
    await removeGroup(folders);
  }
  return [...names];
}

/** What the kernel lacks of the optional settings. */
function applySettings(
  folder: string,
  version: 1 | 2,
  controller: Controller,
  limits: Limits,
  options: Partial<GroupOptions>,
): readonly Layer[] {
  const missing: Layer[] = [];
  for (const { file, value, optional } of groupSettings(version, controller, limits, {
    ...OPTIONS,
    ...options,
  })) {
    const path = join(folder, file);
    if (optional === undefined || existsSync(path)) hostGroupFiles.write(path, value);
    else if (optional.withoutIt !== null) missing.push(optional.withoutIt);
  }
  return missing;
}

function hostHasSwap(): boolean {
  return hostGroupFiles.read('/proc/swaps').trim().split('\n').length > 1;
}
