import { readFileSync } from 'node:fs';
import type { WorkerSetup } from './protocol.ts';

/** Fields of `/proc/self/status` that hold capabilities which are in force or can be regained. */
const CAPABILITY_FIELDS = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'];

/**
 * Compares the process's own status with what was asked of the launcher. The last look before the
 * tool is loaded: from then on nothing this process says can be believed.
 *
 * @param status - text of `/proc/self/status`
 * @returns what is not as asked, null when all is
 * @see proc_pid_status(5)
 */
export function findGap(status: string, { uid }: Pick<WorkerSetup, 'uid'>): string | null {
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? 'missing';
  if (field('NoNewPrivs') !== '1') return `no_new_privs is ${field('NoNewPrivs')}`;
  if (field('Seccomp') !== '2') return `the system call filter is ${field('Seccomp')}, not 2`;
  const held = CAPABILITY_FIELDS.find((name) => !/^0+$/.test(field(name)));
  if (held !== undefined) return `capabilities are left in ${held}`;
  const users = field('Uid').split(/\s+/);
  if (users.some((user) => user !== String(uid))) return `the user is not ${uid}`;
  return null;
}

/** {@link findGap} for this process. */
export function checkOwnStatus(setup: WorkerSetup): string | null {
  try {
    return findGap(readFileSync('/proc/self/status', 'utf8'), setup);
  } catch (cause) {
    return `its status cannot be read (${(cause as NodeJS.ErrnoException).code})`;
  }
}
