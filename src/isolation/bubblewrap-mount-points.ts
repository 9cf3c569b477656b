import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Mask } from './filesystem-view-masks.ts';
import { isolationUnavailable } from './host-support-error.ts';

/** Of open(2); Node has no name for it. */
const O_PATH = 0o10000000;
const FOLDER_ONLY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface MountPoint {
  readonly kind: 'file' | 'folder';
  readonly inode: number;
  holders: number;
}

/**
 * Empty files and folders in write paths, on which bwrap mounts what must not come into being
 * there. They exist while a call needs them and are taken away after the last one.
 *
 * One for all calls of a supervisor: a mount point that is removed under a second sandbox takes
 * that sandbox's mount with it. Two supervisors with one write path do not know of each other.
 */
export class MountPoints {
  readonly #made = new Map<string, MountPoint>();

  /**
   * Makes those that are missing. The returned function lets go of them; it never removes anything
   * that is not empty or that another program put in its place.
   *
   * @throws {IsolationUnavailableError} when one cannot be made or is a link by now
   */
  hold(masks: readonly Mask[]): () => void {
    const held: string[] = [];
    const release = () => {
      for (const path of held.splice(0).reverse()) this.#release(path);
    };
    try {
      for (const { path, kind, exists } of masks) {
        if (exists) continue;
        this.#hold(path, kind);
        held.push(path);
      }
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  #hold(path: string, kind: 'file' | 'folder'): void {
    const known = this.#made.get(path);
    if (known !== undefined) {
      known.holders += 1;
      return;
    }
    const inode = inFolderOf(path, (at) => makeEmpty(at, path, kind));
    this.#made.set(path, { kind, inode, holders: 1 });
  }

  #release(path: string): void {
    const point = this.#made.get(path);
    if (point === undefined) return;
    point.holders -= 1;
    if (point.holders > 0) return;
    this.#made.delete(path);
    if (point.inode !== NOT_OURS) inFolderOf(path, (at) => removeEmpty(at, point));
  }
}

/** Somebody made it between the view and the call: it is mounted over, but stays. */
const NOT_OURS = -1;

/**
 * Gives `use` a name of `path` whose folder can no longer be swapped: a tool that runs at the same
 * time may put a link in place of a folder in its write path.
 */
function inFolderOf<T>(path: string, use: (at: string) => T): T {
  const folder = dirname(path);
  let descriptor: number;
  try {
    descriptor = openSync(folder, FOLDER_ONLY);
  } catch (error) {
    throw cannotMake(path, error);
  }
  try {
    const handle = `/proc/self/fd/${descriptor}`;
    if (readlinkSync(handle) !== folder) throw cannotMake(path);
    return use(`${handle}/${basename(path)}`);
  } finally {
    closeSync(descriptor);
  }
}

function makeEmpty(at: string, path: string, kind: 'file' | 'folder'): number {
  try {
    if (kind === 'folder') mkdirSync(at, 0o555);
    else closeSync(openSync(at, 'wx', 0o444));
    return lstatSync(at).ino;
  } catch (error) {
    if (isCode(error, 'EEXIST') && isKind(at, kind)) return NOT_OURS;
    throw cannotMake(path, error);
  }
}

function isKind(at: string, kind: 'file' | 'folder'): boolean {
  const entry = lstatSync(at);
  return kind === 'file' ? entry.isFile() : entry.isDirectory();
}

function removeEmpty(at: string, { kind, inode }: MountPoint): void {
  try {
    const entry = lstatSync(at);
    if (entry.ino !== inode) return;
    if (kind === 'folder') rmdirSync(at);
    else if (entry.size === 0) unlinkSync(at);
  } catch (error) {
    // Gone, or filled by another program: either way not ours to remove.
    if (!isCode(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function cannotMake(path: string, error?: unknown): Error {
  return isolationUnavailable(
    {
      cause: `\`${path}\` cannot be protected: no mount point can be made there`,
      remedy: 'make the folder above writable for the supervisor, or narrow the write path',
    },
    error,
  );
}
