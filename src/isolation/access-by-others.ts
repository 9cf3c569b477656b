import { readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folders that are looked into before a view is left as it is. */
const FOLDERS_MAX = 256;
const READ_AND_ENTER = 0o005;
const READ = 0o004;
const ENTER = 0o001;

/**
 * Whether a user who owns nothing may reach and read a file, as far as its mode and those of the
 * folders above it say. A call of a root supervisor runs as such a user.
 */
export function isReadableByOthers(path: string): boolean {
  const facts = statOf(path);
  return facts !== null && (facts.mode & READ) !== 0 && isReachableByOthers(path);
}

/** Whether such a user may list and enter a folder, those above it not asked. */
export function isOpenToOthers(folder: string): boolean {
  return ((statOf(folder)?.mode ?? 0) & READ_AND_ENTER) === READ_AND_ENTER;
}

/** Whether such a user may enter every folder above a path. */
export function isReachableByOthers(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((statOf(folder)?.mode ?? 0) & ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * Read grants for a sandbox whose user is nobody on this host: a folder that is closed to others
 * (`mktemp -d` makes such) is replaced by what is in it. The sandbox has an open folder of that name.
 */
export function openedForOthers(paths: readonly string[]): readonly string[] {
  let folders = 0;
  const open = (path: string): readonly string[] => {
    const facts = statOf(path);
    const isClosed =
      facts?.isDirectory() === true && (facts.mode & READ_AND_ENTER) < READ_AND_ENTER;
    if (!isClosed || folders >= FOLDERS_MAX) return [path];
    folders += 1;
    return readdirSync(path).flatMap((name) => open(join(path, name)));
  };
  return paths.flatMap(open);
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    // Not even we may look: nor may others.
    return null;
  }
}
