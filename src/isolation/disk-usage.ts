// What lies in the folders that a tool may write, seen from outside while the tool changes them. Every
// folder is opened below the descriptor of the one above it, links unfollowed: a folder that is swapped
// for a link during the walk leads nowhere else.

import {
  closeSync,
  constants,
  type Dir,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readdirSync,
  type Stats,
  statSync,
} from 'node:fs';

/** Of stat(2), whatever the file system's own blocks are. */
const BLOCK_BYTES = 512;
/** Descriptors that one walk may hold open. */
const DEPTH_MAX = 128;
const ENTRIES_AT_ONCE = 64;
const FOLDER_ONLY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ESRCH'];

/** What a walk counted. */
export interface DiskUsage {
  /** Blocks that are allocated: a hole in a file takes none, a file with two names counts once. */
  readonly bytes: number;
  readonly entries: number;
}

/** More than can be looked at: nothing is known of the rest. */
export class TooMuchToCount extends Error {}

/**
 * Walks files and folders and adds up what they take. A generator, so that whoever walks decides how
 * long at a time: it yields after every few entries and returns the sum.
 *
 * @param paths - real paths; one that is gone counts nothing
 * @throws {TooMuchToCount} for more than `entriesMax` entries, or folders 128 deep
 * @throws the system's error where a folder that this user owns cannot be opened (a tool took its
 *   mode away) or no descriptor is free
 */
export function* countDisk(
  paths: readonly string[],
  entriesMax: number,
): Generator<undefined, DiskUsage> {
  const sum = new UsageSum(entriesMax);
  for (const path of paths) {
    const facts = orGone(() => lstatSync(path));
    if (facts === null) continue;
    sum.add(facts);
    if (facts.isDirectory()) yield* countFolder(path, sum);
  }
  return sum;
}

class UsageSum implements DiskUsage {
  bytes = 0;
  entries = 0;
  readonly #entriesMax: number;
  /** Files with several names that were counted. */
  readonly #linked = new Set<string>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  add(facts: Stats): void {
    this.entries += 1;
    if (this.entries > this.#entriesMax) throw new TooMuchToCount('too many entries');
    if (facts.nlink > 1 && !facts.isDirectory()) {
      const name = `${facts.dev}:${facts.ino}`;
      if (this.#linked.has(name)) return;
      this.#linked.add(name);
    }
    this.bytes += facts.blocks * BLOCK_BYTES;
  }
}

interface OpenFolder {
  /** Its name below /proc, which cannot be swapped. */
  readonly path: string;
  readonly descriptor: number;
  readonly entries: Dir;
}

function* countFolder(root: string, sum: UsageSum): Generator<undefined, void> {
  const open: OpenFolder[] = [];
  try {
    enter(root, open);
    for (let folder = open.at(-1); folder !== undefined; folder = open.at(-1)) {
      for (let count = 0; count < ENTRIES_AT_ONCE && folder === open.at(-1); count += 1) {
        const entry = folder.entries.readSync();
        if (entry === null) {
          leave(open);
          break;
        }
        const path = `${folder.path}/${entry.name}`;
        const facts = orGone(() => lstatSync(path));
        if (facts === null) continue;
        sum.add(facts);
        if (facts.isDirectory()) enter(path, open);
      }
      yield;
    }
  } finally {
    while (open.length > 0) leave(open);
  }
}

function enter(path: string, open: OpenFolder[]): void {
  if (open.length >= DEPTH_MAX) throw new TooMuchToCount('folders too deep');
  const descriptor = openFolder(path);
  if (descriptor === null) return;
  const handle = `/proc/self/fd/${descriptor}`;
  try {
    open.push({ path: handle, descriptor, entries: opendirSync(handle) });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function leave(open: OpenFolder[]): void {
  const folder = open.pop();
  if (folder === undefined) return;
  folder.entries.closeSync();
  closeSync(folder.descriptor);
}

/** Null for one that is gone, and for one of another user that this one may not open: nor may the tool. */
function openFolder(path: string): number | null {
  try {
    return orGone(() => openSync(path, FOLDER_ONLY));
  } catch (error) {
    const isClosed = codeOf(error) === 'EACCES';
    if (isClosed && orGone(() => lstatSync(path))?.uid !== process.getuid?.()) return null;
    throw error;
  }
}

/**
 * What files take that have no name any more and are held open by processes.
 *
 * @param devices - file systems (`st_dev`) that are of interest
 * @param ignored - files, as `dev:ino`, that are ours
 * @throws the system's error where the descriptors of a living process may not be seen
 */
export function countDeleted(
  pids: readonly number[],
  devices: ReadonlySet<number>,
  ignored: ReadonlySet<string>,
): number {
  const sizes = new Map<string, number>();
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    for (const name of orGone(() => readdirSync(folder)) ?? []) {
      const facts = orGone(() => statSync(`${folder}/${name}`));
      if (facts === null || !facts.isFile() || facts.nlink > 0 || !devices.has(facts.dev)) continue;
      const file = `${facts.dev}:${facts.ino}`;
      if (!ignored.has(file)) sizes.set(file, facts.blocks * BLOCK_BYTES);
    }
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** A file of ours for {@link countDeleted}. */
export function fileKey(descriptor: number): string {
  const { dev, ino } = fstatSync(descriptor);
  return `${dev}:${ino}`;
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

/** Null where it is gone meanwhile, or became something else. */
function orGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (GONE.includes(codeOf(error))) return null;
    throw error;
  }
}
