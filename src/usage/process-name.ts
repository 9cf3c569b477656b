import { readFileSync, readlinkSync } from 'node:fs';

/**
 * A name for this process that no later process will have: its id, and where the system tells,
 * when it started and in which namespace its id counts.
 */
export function processName(): string {
  return `${process.pid}:${startOf(process.pid) ?? ''}:${pidNamespace()}`;
}

/**
 * True while the named process runs. One that cannot be told, because its id counts in another
 * container, is taken to run: what it holds is never taken away.
 */
export function isAlive(name: string): boolean {
  const [id = '', start = '', namespace = ''] = name.split(':');
  const pid = Number(id);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (namespace !== pidNamespace()) return true;
  if (!exists(pid)) return false;
  return start === '' || (startOf(pid) ?? start) === start;
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/[^0-9]/g, '');
  } catch {
    // No procfs: the host has one space of process ids.
    return '';
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not permitted means that it exists and is another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of proc(5) `stat`, counted after the name, which may hold spaces and parentheses. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    // No procfs, or the process is gone: the id alone must do.
    return null;
  }
}
