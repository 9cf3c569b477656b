import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import treeKill from 'tree-kill';
import type { ProcessTree } from './process-tree.ts';

/** Looks after the first kill; forks that raced it are gone after the second or third. */
const ROUNDS_MAX = 10;
/** Between looks: the kernel needs a moment to take a large process apart. */
const ROUND_MS = 1;

/**
 * Ends a worker and everything seen to belong to it: its group, then what left the group, then, as
 * the last resort, tree-kill. SIGKILL throughout: a tool may trap anything else.
 *
 * @returns pids that still live, the root's where that cannot be seen; empty is the rule
 */
export async function killTree(tree: ProcessTree): Promise<readonly number[]> {
  // Looked at first: once a parent is dead, its children are nobody's and cannot be found any more.
  await pidsOf(tree);
  signalGroup(tree.rootPid);
  let living = await pidsOf(tree);
  for (let round = 0; round < ROUNDS_MAX && living.length > 0; round += 1) {
    for (const pid of living) signalProcess(pid);
    await delay(ROUND_MS);
    living = await pidsOf(tree);
  }
  if (living.length === 0 && process.platform !== 'win32') return [];
  await killByTreeKill(tree.rootPid);
  return pidsOf(tree);
}

/** A process table that cannot be read is no proof of death: then the root counts as alive. */
async function pidsOf(tree: ProcessTree): Promise<readonly number[]> {
  return tree.refresh().then(
    (entries) => entries.map(({ pid }) => pid),
    () => [tree.rootPid],
  );
}

/** Synchronous part of {@link killTree}, also for a supervisor that is exiting. */
export function signalGroup(rootPid: number): void {
  if (process.platform === 'win32') signalProcess(rootPid);
  else signalProcess(-rootPid);
}

/** Asks the group to end, for a caller's abort of a command. The kill follows. */
export function terminateGroup(rootPid: number): void {
  signalProcess(process.platform === 'win32' ? rootPid : -rootPid, 'SIGTERM');
}

function signalProcess(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    // ESRCH: it is gone, which is what was wanted. EPERM: a set-id program of another user; the
    // caller sees it among the survivors.
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== 'ESRCH' && code !== 'EPERM') throw cause;
  }
}

/** tree-kill starts `ps` or `pgrep` without an error listener: where they are missing it would crash us. */
async function killByTreeKill(rootPid: number): Promise<void> {
  if (!(await hasTreeKillProgram())) return;
  await new Promise<void>((resolve) => treeKill(rootPid, 'SIGKILL', () => resolve()));
}

async function hasTreeKillProgram(): Promise<boolean> {
  if (process.platform === 'win32') return true;
  const program = process.platform === 'darwin' ? 'pgrep' : 'ps';
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const found = await Promise.all(folders.map((folder) => isExecutable(join(folder, program))));
  return found.includes(true);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
