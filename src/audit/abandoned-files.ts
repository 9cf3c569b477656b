import { join } from 'node:path';
import type { FileLayer } from './file-layer.ts';
import { isGone, type LockOwner, readOwner } from './lock-owner.ts';

/** Files with this prefix and a token exist as long as the supervisor with that token. */
export const OWNER_PREFIX = 'lock-owner-';
/** Asks a busy owner of the lock to pause between two batches. */
export const WANTED_NAME = 'lock-wanted';
const DRAFT = /^[a-z0-9.-]+-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+\.tmp$/;

/** Makes names for files that become something else when they are whole. */
export class DraftNames {
  readonly #token: string;
  #count = 0;

  /** @param token - of the supervisor, so that others can tell when the draft is abandoned */
  constructor(token: string) {
    this.#token = token;
  }

  /** A name that nobody has: `<base>-<token>-<number>.tmp`. */
  next(base: string): string {
    this.#count += 1;
    return `${base}-${this.#token}-${this.#count}.tmp`;
  }
}

/** Removes what supervisors left behind that were killed. */
export function removeAbandoned(directory: string, self: LockOwner, files: FileLayer): void {
  const names = files.readdirSync(directory);
  const alive = new Set<string>();
  for (const name of names.filter((one) => one === WANTED_NAME || one.startsWith(OWNER_PREFIX))) {
    if (isAbandoned(join(directory, name), self)) files.unlinkSync(join(directory, name));
    else alive.add(name.slice(OWNER_PREFIX.length));
  }
  for (const name of names) {
    const token = DRAFT.exec(name)?.[1];
    if (token !== undefined && !alive.has(token)) files.unlinkSync(join(directory, name));
  }
}

function isAbandoned(path: string, self: LockOwner): boolean {
  const owner = readOwner(path);
  return owner !== null && isGone(owner, self);
}
