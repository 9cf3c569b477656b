import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  type Stats,
  statfsSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { makeFolder } from '../make-folder.ts';

const writeOnce = promisify(write);
const fdatasyncOnce = promisify(fdatasync);

/** What the writer needs to know about a file. */
export type FileFacts = Pick<Stats, 'dev' | 'ino' | 'mode' | 'nlink' | 'size' | 'isFile'>;

/**
 * The system calls through which a trail is written. Tests put failures here: a full disk, a short
 * write, an I/O error, a disk that stalls.
 *
 * `write` and `writeSync` may write less than they were given, as write(2) may; callers check.
 */
export interface FileLayer {
  /** Opens with `O_NOFOLLOW | O_CLOEXEC` added; new files get mode 0600. */
  openSync(path: string, flags: number): number;
  closeSync(fd: number): void;
  writeSync(fd: number, bytes: Uint8Array): number;
  write(fd: number, bytes: Uint8Array): Promise<number>;
  readSync(fd: number, into: Uint8Array, position: number): number;
  fdatasync(fd: number): Promise<void>;
  ftruncateSync(fd: number, length: number): void;
  fstatSync(fd: number): FileFacts;
  /** Undefined when nothing has this name. */
  statSync(path: string): FileFacts | undefined;
  linkSync(existing: string, path: string): void;
  unlinkSync(path: string): void;
  renameSync(from: string, to: string): void;
  fchmodSync(fd: number, mode: number): void;
  chmodSync(path: string, mode: number): void;
  /** Creates a directory of mode 0700 and what lies above it. */
  mkdirSync(path: string): void;
  readdirSync(path: string): string[];
  /** Magic number of the file system, see statfs(2). */
  fileSystemType(path: string): number;
}

/** The file layer that is used outside tests: `node:fs`. */
export const nodeFileLayer: FileLayer = {
  openSync: (path, flags) => openSync(path, flags | constants.O_NOFOLLOW, 0o600),
  closeSync,
  writeSync: (fd, bytes) => writeSync(fd, bytes),
  write: async (fd, bytes) => (await writeOnce(fd, bytes)).bytesWritten,
  readSync: (fd, into, position) => readSync(fd, into, 0, into.length, position),
  fdatasync: fdatasyncOnce,
  ftruncateSync,
  fstatSync: (fd) => fstatSync(fd),
  statSync: (path) => statSync(path, { throwIfNoEntry: false }),
  linkSync,
  unlinkSync,
  renameSync,
  fchmodSync,
  chmodSync,
  mkdirSync: makeFolder,
  readdirSync: (path) => readdirSync(path),
  fileSystemType: (path) => statfsSync(path).type,
};

/**
 * Writes all bytes or throws; a disk that fills up writes a part of them without an error (measured
 * on tmpfs: 350 of 568 bytes), so the count is what tells.
 */
export function writeFully(files: FileLayer, fd: number, bytes: Uint8Array): void {
  const written = files.writeSync(fd, bytes);
  if (written !== bytes.length) throw new ShortWriteError(written, bytes.length);
}

/** {@link writeFully} that leaves the event loop free while the disk is busy. */
export async function writeFullyAsync(
  files: FileLayer,
  fd: number,
  bytes: Uint8Array,
): Promise<void> {
  const written = await files.write(fd, bytes);
  if (written !== bytes.length) throw new ShortWriteError(written, bytes.length);
}

/** write(2) took fewer bytes than it was given. */
class ShortWriteError extends Error {
  override readonly name = 'ShortWriteError';

  constructor(written: number, expected: number) {
    super(`${written} of ${expected} bytes were written`);
  }
}

/** Makes names that were created, renamed or removed in a directory survive a power loss. */
export async function syncDirectory(files: FileLayer, path: string): Promise<void> {
  const fd = files.openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    // ext4, xfs and btrfs take fdatasync on a directory as fsync.
    await files.fdatasync(fd);
  } finally {
    files.closeSync(fd);
  }
}
