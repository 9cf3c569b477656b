import { readFileSync } from 'node:fs';

/**
 * A name for this process that no later process of the host will have: its id, and where the
 * system tells it, when it started.
 */
export function processName(pid: number = process.pid): string {
  return `${pid}:${startOf(pid) ?? ''}`;
}

/** True while the named process runs. One that cannot be told from another counts as running. */
export function isAlive(name: string): boolean {
  const [id = '', start = ''] = name.split(':');
  const pid = Number(id);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (!exists(pid)) return false;
  return start === '' || (startOf(pid) ?? start) === start;
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
