import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

/** Who holds a lock: enough to tell a dead owner from a living one and from a reused process id. */
export interface LockOwner {
  readonly token: string;
  readonly machine: string;
  /** Null where the system has no boot id. */
  readonly boot: string | null;
  /** Inode of the process id namespace; null where there are none. */
  readonly pidNamespace: string | null;
  readonly pid: number;
  /** Start of the process in clock ticks since boot; null where it cannot be read. */
  readonly start: string | null;
}

const ownerSchema: z.ZodType<LockOwner> = z.strictObject({
  token: z.string(),
  machine: z.string(),
  boot: z.string().nullable(),
  pidNamespace: z.string().nullable(),
  pid: z.number().int().positive(),
  start: z.string().nullable(),
});

/** Describes this process as the owner of a lock; every call gives a new token. */
export function describeOwner(): LockOwner {
  return {
    token: randomUUID(),
    machine: readLine('/etc/machine-id') ?? hostname(),
    boot: readLine('/proc/sys/kernel/random/boot_id'),
    pidNamespace: pidNamespace(),
    pid: process.pid,
    start: processStart(process.pid),
  };
}

/** Owner that a lock file names, or null when the file does not hold one. */
export function parseOwner(text: string): LockOwner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    // UNTRUSTED: whoever can write the directory can write this file. Unknown owners are waited for.
    return null;
  }
}

/** Owner named by a lock file; null when there is none or it cannot be understood. */
export function readOwner(path: string): LockOwner | null {
  try {
    return parseOwner(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * True only when `owner` certainly no longer runs: the machine was booted again since, or the
 * process is gone and would be visible from here. Anything uncertain counts as alive.
 */
export function isGone(owner: LockOwner, self: LockOwner): boolean {
  if (owner.machine !== self.machine) return false;
  if (owner.boot !== self.boot) return owner.boot !== null && self.boot !== null;
  if (owner.pidNamespace !== self.pidNamespace) return false;
  return !isRunning(owner.pid) || startDiffers(owner);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function startDiffers(owner: LockOwner): boolean {
  const start = processStart(owner.pid);
  return start !== null && owner.start !== null && start !== owner.start;
}

function processStart(pid: number): string | null {
  const stat = readLine(`/proc/${pid}/stat`);
  // proc(5): the name in field 2 may hold spaces and brackets; field 22 is counted from behind it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function pidNamespace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null; // not Linux
  }
}

function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    return null; // not Linux, or the process is gone
  }
}
