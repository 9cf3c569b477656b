import { readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { Layer } from '../call.ts';
import type { Hierarchy } from './cgroup-hierarchy.ts';
import { type CgroupUsage, readController } from './cgroup-usage.ts';

/** Emptying takes the kernel milliseconds; more than this means that something holds on. */
const KILL_MS_MAX = 5000;
const REMOVE_MS_MAX = 2000;
/** Looks after a kill without a pause between them: a small process is gone within a millisecond. */
const LOOKS_QUICK = 20;

/** One folder of a call's group: on v1 there is one in every tree. */
export type GroupFolder = Hierarchy;

/** The control group of one call. Belongs to the supervisor: kill it, read it, then remove it. */
export interface CallCgroup {
  /** Where its limits lie; for people. */
  readonly path: string;
  /** A process joins by writing `0` to every one of these, before it runs anything of the tool. */
  readonly procsFiles: readonly string[];
  readonly layers: readonly Layer[];
  /** Cheap enough to be polled every 100 ms. Read it for the last time before `remove`. */
  readonly readUsage: () => CgroupUsage;
  /** Processes in the group, as far as they can be seen from here. */
  readonly countProcesses: () => number;
  /** Kills every process in the group and waits until none is left. */
  readonly kill: () => Promise<void>;
  /** Lets go of cached pages, then removes the group, which must be empty. */
  readonly remove: () => Promise<void>;
}

/** Of the groups of one name in all trees. */
export function callCgroup(folders: readonly GroupFolder[], layers: readonly Layer[]): CallCgroup {
  let peakMemoryBytes = 0;
  const readUsage = (): CgroupUsage => {
    const usage = {
      cpuMs: 0,
      memoryBytes: 0,
      peakMemoryBytes,
      oomKills: 0,
      pidsMaxEvents: 0,
    };
    for (const { version, controllers, folder } of folders)
      for (const controller of controllers) {
        const part = readController(version, controller, (file) => readNow(join(folder, file)));
        usage.cpuMs += part.cpuMs;
        usage.memoryBytes += part.memoryBytes;
        usage.oomKills += part.oomKills;
        usage.pidsMaxEvents += part.pidsMaxEvents;
        usage.peakMemoryBytes = Math.max(usage.peakMemoryBytes, part.peakMemoryBytes);
      }
    peakMemoryBytes = usage.peakMemoryBytes;
    return usage;
  };
  return {
    path:
      (folders.find(({ controllers }) => controllers.includes('memory')) ?? folders[0])?.folder ??
      '',
    procsFiles: folders.map(({ folder }) => join(folder, 'cgroup.procs')),
    layers,
    readUsage,
    countProcesses: () => membersOf(folders).size,
    kill: () => killGroup(folders),
    remove: () => removeGroup(folders),
  };
}

function readNow(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;
/** ENODEV: the group was removed while its file was open. */
const isMissing = (error: unknown): boolean => ['ENOENT', 'ENODEV'].includes(codeOf(error) ?? '');

/**
 * Kills what is in a group, whatever it does meanwhile: by `cgroup.kill` (Linux 5.14), which no
 * fork can outrun; without it by closing the group for new processes first.
 */
export async function killGroup(folders: readonly GroupFolder[]): Promise<void> {
  const unified = folders.find(({ version }) => version === 2);
  const deadline = Date.now() + KILL_MS_MAX;
  const killed =
    unified !== undefined && (await tryWrite(join(unified.folder, 'cgroup.kill'), '1'));
  const forkable = folders.find(({ controllers }) => controllers.includes('pids'));
  if (!killed && forkable !== undefined) await tryWrite(join(forkable.folder, 'pids.max'), '0');
  for (let look = 0; ; look += 1) {
    const members = membersOf(folders);
    if (members.size === 0) return;
    if (Date.now() > deadline)
      throw new Error(`group \`${folders[0]?.folder}\` still has ${members.size} processes`);
    // A process that was moved into one tree only is out of the reach of `cgroup.kill`.
    if (!killed || look > LOOKS_QUICK) for (const pid of members) killProcess(pid);
    if (look < LOOKS_QUICK) await turn();
    else await pause(Math.min(2 ** (look - LOOKS_QUICK), 50));
  }
}

/** A process that ended in the meantime is what was wanted. */
function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** Synchronous: the files are the kernel's and short, and each trip through the thread pool is longer. */
function membersOf(folders: readonly GroupFolder[]): ReadonlySet<number> {
  const members = new Set<number>();
  // 0: a process of a pid namespace that cannot be seen from here.
  for (const { folder } of folders)
    for (const group of [...groupsBelow(folder), folder])
      for (const line of (readNow(join(group, 'cgroup.procs')) ?? '').split('\n'))
        if (line !== '' && line !== '0') members.add(Number(line));
  return members;
}

/** Groups that the tool made inside its own, deepest first. Only a delegated one can be made. */
function groupsBelow(folder: string): readonly string[] {
  const facts = statSync(folder, { throwIfNoEntry: false });
  // Itself and its entry above: every folder in it would be one more.
  if (facts === undefined || facts.nlink === 2) return [];
  const inner = foldersIn(folder).map((name) => join(folder, name));
  return inner.flatMap((path) => [...groupsBelow(path), path]);
}

function foldersIn(folder: string): readonly string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** False when the kernel has no such file or refuses: the caller has another way. */
async function tryWrite(path: string, value: string): Promise<boolean> {
  return await writeFile(path, value, { flag: 'r+' }).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === undefined) throw error;
      return false;
    },
  );
}

/**
 * Removes the folders of a group that has no processes left.
 *
 * Pages of files that the tool wrote keep a removed memory group alive in the kernel, one per call
 * (measured on v1: 60 calls, 59 dying groups), so they are let go first.
 *
 * @throws the kernel's error when a folder cannot be removed within two seconds
 */
export async function removeGroup(folders: readonly GroupFolder[]): Promise<void> {
  for (const { version, controllers, folder } of folders) {
    if (!controllers.includes('memory')) continue;
    if (version === 1) await tryWrite(join(folder, 'memory.force_empty'), '0');
    // More than there is: EAGAIN says that it gave what it had.
    else await tryWrite(join(folder, 'memory.reclaim'), '1G');
  }
  for (const { folder } of folders) {
    for (const group of groupsBelow(folder)) await removeFolder(group);
    await removeFolder(folder);
  }
}

/** The last process may be leaving: EBUSY passes. */
async function removeFolder(folder: string): Promise<void> {
  const deadline = Date.now() + REMOVE_MS_MAX;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (isMissing(error)) return;
      if (codeOf(error) !== 'EBUSY' || Date.now() > deadline) throw error;
    }
    await pause(waitMs);
  }
}
