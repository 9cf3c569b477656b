import { readdirSync, readFileSync } from 'node:fs';
import { execa } from 'execa';

/** One process as the system sees it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  /** Tells a process from a later one with the same pid. Empty where the system does not say. */
  readonly startedAt: string;
  /** Dead, and only waiting for its parent to read its exit code. */
  readonly isZombie: boolean;
  /** CPU time of children that ended and were waited for. Zero where the system does not say. */
  readonly endedChildrenCpuMs: number;
}

/** Linux counts CPU time for user space in these (USER_HZ) on every architecture. */
const MS_PER_TICK = 10;

const PS_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Every process of the machine, in one sweep: from `/proc` on Linux, from `ps` elsewhere. Empty
 * where neither exists (Windows); then only the process itself and tree-kill are left.
 *
 * @throws the system's error when `/proc` cannot be read (no descriptor is free): what was not seen
 *   must not pass for what is not there
 */
export async function readProcessTable(): Promise<readonly ProcessEntry[]> {
  return process.platform === 'linux' ? readProc() : readPs();
}

/** Synchronous: 120 processes take 2 ms so, and 50 ms through the thread pool of a busy process. */
function readProc(): readonly ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(readProcEntry)
    .filter((entry) => entry !== null);
}

/** A process that ended since the folder was listed reads as null. */
function readProcEntry(pid: string): ProcessEntry | null {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw cause;
  }
}

/** Whether a process runs. One that is dead and not yet waited for is seen as such on Linux only. */
export function isProcessAlive(pid: number): boolean {
  if (process.platform === 'linux') {
    const entry = readProcEntry(`${pid}`);
    return entry !== null && !entry.isZombie;
  }
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * One line of `/proc/<pid>/stat`. The command name is chosen by the process and may hold spaces and
 * parentheses: the fields are counted from the last one.
 *
 * @see proc_pid_stat(5): after the name: state, ppid, pgrp, … cutime and cstime are fields 16 and 17,
 *   starttime is field 22
 */
export function parseProcStat(text: string): ProcessEntry | null {
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parentPid, groupId] = fields;
  const startedAt = fields[19];
  if (!Number.isInteger(pid) || state === undefined || startedAt === undefined) return null;
  return {
    pid,
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    startedAt,
    isZombie: state === 'Z' || state === 'X',
    endedChildrenCpuMs: (Number(fields[13]) + Number(fields[14])) * MS_PER_TICK,
  };
}

async function readPs(): Promise<readonly ProcessEntry[]> {
  const { stdout, failed } = await execa(
    'ps',
    ['-A', '-o', 'pid=', '-o', 'ppid=', '-o', 'pgid=', '-o', 'stat='],
    { reject: false, timeout: 2000, maxBuffer: PS_BYTES_MAX, stdin: 'ignore' },
  );
  return failed ? [] : stdout.split('\n').flatMap(parsePsLine);
}

/** One line of `ps -A -o pid= -o ppid= -o pgid= -o stat=`. */
export function parsePsLine(line: string): readonly ProcessEntry[] {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)/.exec(line);
  if (match === null) return [];
  const [, pid, parentPid, groupId, state = ''] = match;
  return [
    {
      pid: Number(pid),
      parentPid: Number(parentPid),
      groupId: Number(groupId),
      startedAt: '',
      isZombie: state.startsWith('Z'),
      endedChildrenCpuMs: 0,
    },
  ];
}
