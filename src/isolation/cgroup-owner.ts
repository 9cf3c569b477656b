import { readFileSync, readlinkSync } from 'node:fs';

/** Which process made a group: enough to tell whether it still runs. */
export interface GroupOwner {
  /** Inode of the pid namespace: process ids of another one say nothing here. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** In clock ticks since boot: a reused pid has another one. */
  readonly startTime: string;
}

const NAME = /^enforcecore-(\d+)-(\d+)-(\d+)-[0-9a-f]{16}$/;

/** This process as an owner. */
export function thisOwner(): GroupOwner {
  const [, pidNamespace = ''] = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
  return { pidNamespace, pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
}

/** When a process started, or `null` when there is none with this id. */
export function startTimeOf(pid: number): string | null {
  try {
    return parseStartTime(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    // ENOENT and ESRCH: it ended, which is the answer.
    return null;
  }
}

/** Field 22 of proc_pid_stat(5), counted after the name, which may hold spaces and brackets. */
function parseStartTime(stat: string): string | null {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/** A name that no other call, supervisor or container uses, and that tells whose it is. */
export function groupName({ pidNamespace, pid, startTime }: GroupOwner, random: string): string {
  return `enforcecore-${pidNamespace}-${pid}-${startTime}-${random}`;
}

/**
 * True while an owner runs, and where that cannot be known: process ids of another pid namespace
 * mean nothing here.
 *
 * @param startTime - answers when a process of this namespace started
 */
export function isAlive(
  owner: GroupOwner,
  here: GroupOwner,
  startTime: (pid: number) => string | null = startTimeOf,
): boolean {
  return owner.pidNamespace !== here.pidNamespace || startTime(owner.pid) === owner.startTime;
}

/** True for a group of ours whose owner is gone, so that it may be swept. */
export function isOrphaned(
  name: string,
  here: GroupOwner,
  startTime: (pid: number) => string | null = startTimeOf,
): boolean {
  const [, pidNamespace, pid, started] = NAME.exec(name) ?? [];
  if (pidNamespace === undefined || started === undefined) return false;
  return !isAlive({ pidNamespace, pid: Number(pid), startTime: started }, here, startTime);
}
