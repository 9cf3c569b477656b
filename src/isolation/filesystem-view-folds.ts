import type { FilesystemView } from './filesystem-view.ts';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';
import type { Mask } from './filesystem-view-masks.ts';
import { isWithin, isWithinAny, selfAndAncestors } from './filesystem-view-names.ts';

/**
 * A package of which only parts may be read, and what of it may not. Every part is a mount of its own
 * at `isolated`, and mounts are what a start costs: one for the whole package, and one over each
 * hidden name, are fewer. Landlock still grants the parts alone, so that a name whose mount is lost
 * (another program may replace the file under it) stays closed.
 */
export interface Fold {
  /** Real path of the package. */
  readonly folder: string;
  /** What in it is not granted, outermost only. Links are not among them. */
  readonly hidden: readonly string[];
}

/** What bubblewrap mounts for the read grants of a view. */
export interface FoldedMounts {
  readonly read: readonly string[];
  readonly masks: readonly Mask[];
}

/**
 * Replaces the parts of packages by the packages, where that takes fewer mounts. Pure but for the
 * kinds of hidden names.
 *
 * @param isOpen - whether the tool's user could enter a folder as it is on this host: a part of a
 *   closed folder can be mounted alone
 */
export function foldMounts(
  { read, write, execute, folds }: Pick<FilesystemView, 'read' | 'write' | 'execute' | 'folds'>,
  files: Pick<ReadOnlyFiles, 'kind'>,
  isOpen: (folder: string) => boolean,
): FoldedMounts {
  const granted = [...read, ...write, ...execute];
  let mounts: FoldedMounts = { read, masks: [] };
  for (const { folder, hidden } of folds) {
    const parts = mounts.read.filter((path) => isWithin(path, folder));
    const closed = hidden.filter((path) => !isWithinAny(path, granted));
    const isFewer = closed.length + 1 < parts.length;
    const isSplit = closed.some((path) => granted.some((inner) => isWithin(inner, path)));
    if (!isFewer || isSplit || !foldersAround(parts, folder, files).every(isOpen)) continue;
    mounts = {
      read: [...mounts.read.filter((path) => !isWithin(path, folder)), folder],
      masks: [...mounts.masks, ...closed.map((path) => hiding(path, files))],
    };
  }
  return mounts;
}

function hiding(path: string, files: Pick<ReadOnlyFiles, 'kind'>): Mask {
  const kind = files.kind(path) === 'folder' ? 'folder' : 'file';
  return { path, effect: 'hide', kind, exists: true };
}

/** The parts that are folders, and every folder between one and the package. */
function foldersAround(
  parts: readonly string[],
  folder: string,
  files: Pick<ReadOnlyFiles, 'kind'>,
): readonly string[] {
  const above = parts.flatMap((path) =>
    selfAndAncestors(path).filter((at) => isWithin(at, folder)),
  );
  return [...new Set(above)].filter((path) => files.kind(path) === 'folder');
}
