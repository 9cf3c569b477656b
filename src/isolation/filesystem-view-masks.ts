import { basename, dirname, join } from 'node:path';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';
import { isModulesFolder, PROTECTED_NAMES, selfAndAncestors } from './filesystem-view-names.ts';

/** How deep and how far a writable folder is searched for names to protect. */
const DEPTH_MAX = 8;
const ENTRIES_MAX = 65_536;
const FOLDER_NAMES: ReadonlySet<string> = new Set([
  ...['.git', 'hooks', '.husky', '.claude', '.cursor', '.vscode', '.idea'],
]);

/**
 * A path inside a granted folder that is mounted over at `isolated`.
 *
 * `hide`: unreadable. `read-only`: readable, not writable. `pin`: stays as it is, but can no longer
 * be renamed, so that what is mounted below it cannot be moved out of the way.
 */
export interface Mask {
  readonly path: string;
  readonly effect: 'hide' | 'read-only' | 'pin';
  readonly kind: 'file' | 'folder';
  /** False: an empty mount point has to be made for the time of the call. */
  readonly exists: boolean;
}

/** What a search of a writable folder found, or that it is too large to be searched. */
export interface ProtectedSearch {
  readonly found: readonly string[];
  readonly complete: boolean;
}

/**
 * Names in a writable folder that other programs of the user would run or obey: those that exist
 * at any depth, links not followed.
 */
export function existingProtectedNames(folder: string, files: ReadOnlyFiles): ProtectedSearch {
  const found: string[] = [];
  let left = ENTRIES_MAX;
  const queue: { readonly path: string; readonly depth: number }[] = [{ path: folder, depth: 0 }];
  for (const { path, depth } of queue) {
    for (const { name, kind } of files.entries(path)) {
      left -= 1;
      if (left < 0) return { found, complete: false };
      const inner = join(path, name);
      if (isProtected(path, name)) found.push(inner);
      else if (kind === 'folder' && !isModulesFolder(inner)) {
        if (depth === DEPTH_MAX) return { found, complete: false };
        queue.push({ path: inner, depth: depth + 1 });
      }
    }
  }
  return { found, complete: true };
}

function isProtected(folder: string, name: string): boolean {
  const inGit = basename(folder) === '.git' && PROTECTED_NAMES.includes(`.git/${name}`);
  return inGit || PROTECTED_NAMES.includes(name);
}

/** The protected names that a writable folder does not have and the tool could plant in it. */
export function absentProtectedNames(folder: string, files: ReadOnlyFiles): readonly string[] {
  const firstMissing = PROTECTED_NAMES.flatMap((name) => {
    const missing = selfAndAncestors(join(folder, name))
      .filter((path) => path.length > folder.length && files.kind(path) === null)
      .at(-1);
    return missing === undefined ? [] : [missing];
  });
  return [...new Set(firstMissing)];
}

/**
 * Masks for paths in a writable folder, with the folders between pinned: a tool that renames
 * `.git` and makes a new one would otherwise get its own hooks.
 */
export function masksWithin(
  folder: string,
  paths: readonly string[],
  effect: 'hide' | 'read-only',
  files: ReadOnlyFiles,
): readonly Mask[] {
  return paths.flatMap((path) => {
    const pins = selfAndAncestors(dirname(path))
      .filter((above) => above.length > folder.length && files.kind(above) === 'folder')
      .map((above): Mask => ({ path: above, effect: 'pin', kind: 'folder', exists: true }));
    return [...pins, mask(path, effect, files)];
  });
}

function mask(path: string, effect: 'hide' | 'read-only', files: ReadOnlyFiles): Mask {
  const found = files.kind(path);
  if (found !== null)
    return { path, effect, kind: found === 'folder' ? found : 'file', exists: true };
  return {
    path,
    effect,
    kind: FOLDER_NAMES.has(basename(path)) ? 'folder' : 'file',
    exists: false,
  };
}
