import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

/** How the tree of control groups is read and changed while groups are prepared. */
export interface GroupFiles {
  /** Empty when there is no such file. */
  readonly read: (path: string) => string;
  readonly exists: (path: string) => boolean;
  /** Writes to a file that is there; throws the kernel's error. */
  readonly write: (path: string, value: string) => void;
  readonly make: (folder: string) => void;
  readonly remove: (folder: string) => void;
}

/** The control groups of this host. */
export const hostGroupFiles: GroupFiles = {
  read: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : ''),
  exists: existsSync,
  write: (path, value) => writeFileSync(path, value, { flag: 'r+' }),
  make: (folder) => {
    mkdirSync(folder);
  },
  remove: rmdirSync,
};
