import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';

/** What a name in a folder stands for, links not followed. */
export type FileKind = 'file' | 'folder' | 'link' | 'other';

/**
 * The part of a file system that the view of a tool is computed from. Nothing here throws: what is
 * absent and what may not be read are the same thing to a view, namely nothing to grant.
 */
export interface ReadOnlyFiles {
  /** Absolute path without links, or `null` when it does not exist. */
  readonly realPath: (path: string) => string | null;
  readonly kind: (path: string) => FileKind | null;
  readonly entries: (
    folder: string,
  ) => readonly { readonly name: string; readonly kind: FileKind }[];
  /** Where a link points, as written in it. */
  readonly link: (path: string) => string | null;
  /** The first bytes of a file, at most `bytesMax`; empty when it cannot be read. */
  readonly head: (path: string, bytesMax: number) => Uint8Array;
}

interface Classified {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

const kindOf = (entry: Classified): FileKind => {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
};

/** Absence and refusal become the given value; a mistake in the program is not hidden. */
function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return otherwise;
    throw error;
  }
}

function readHead(path: string, bytesMax: number): Uint8Array {
  const descriptor = openSync(path, 'r');
  try {
    const buffer = new Uint8Array(bytesMax);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, bytesMax, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** The file system of this host. */
export const hostFiles: ReadOnlyFiles = {
  realPath: (path) => orElse(() => realpathSync(path), null),
  kind: (path) => orElse(() => kindOf(lstatSync(path)), null),
  entries: (folder) =>
    orElse(
      () =>
        readdirSync(folder, { withFileTypes: true })
          .map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
          .sort((a, b) => (a.name < b.name ? -1 : 1)),
      [],
    ),
  link: (path) => orElse(() => readlinkSync(path), null),
  head: (path, bytesMax) => orElse(() => readHead(path, bytesMax), new Uint8Array(0)),
};
