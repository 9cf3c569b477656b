import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { RunEnd } from './runner.ts';
import type { ResolvedTarget } from './tool-target.ts';

/** Larger files are programs of the system, which only root replaces; hashing them takes too long. */
const BYTES_MAX = 4 * 1024 * 1024;

/**
 * Looks whether a tool's file is still what was judged and recorded, at the last moment before it
 * runs. What is left is the time in which the worker loads it, about a millisecond.
 *
 * @returns how the call ends when the file has changed, null when it has not
 */
export function changedTarget({ identity }: ResolvedTarget): RunEnd | null {
  const { path, sha256 } = identity;
  if (sha256 === undefined || holds(path, sha256)) return null;
  return {
    status: 'tool-error',
    code: 'ENF_TOOL_LOAD',
    message: 'the file of the tool changed after it was hashed: nothing of it ran',
  };
}

/** A file that cannot be read any more does not hold what it held. */
function holds(path: string, sha256: string): boolean {
  try {
    if (statSync(path).size > BYTES_MAX) return true;
    return createHash('sha256').update(readFileSync(path)).digest('hex') === sha256;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    return false;
  }
}
