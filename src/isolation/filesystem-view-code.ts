import { dirname, join } from 'node:path';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';
import type { Fold } from './filesystem-view-folds.ts';
import {
  isExcludedName,
  isModulesFolder,
  isSharedFolder,
  isWithin,
  isWithinAny,
  selfAndAncestors,
} from './filesystem-view-names.ts';

/** More entries than this in one package are not looked through: the policy must say what to read. */
const ENTRIES_MAX = 4096;

/** What the search for code needs to know besides the code's place. */
export interface CodeSurroundings {
  readonly files: ReadOnlyFiles;
  readonly home: string;
  /** Real paths that are never granted, however they are reached. */
  readonly withheld: readonly string[];
  /** Real paths that the tool can write: what lies there is the tool's own doing. */
  readonly writable: readonly string[];
}

/** The readable parts of one package. */
export interface CodeGrant {
  readonly read: readonly string[];
  /** Folders of installed packages inside; granted whole by rule 2. */
  readonly modulesFolders: readonly string[];
  /** Present when it is granted in parts that one mount can stand for. */
  readonly folds: readonly Fold[];
  readonly notes: readonly string[];
}

/** The nearest folder with a `package.json`, else the folder of the file itself. */
export function packageRootOf(entry: string, files: ReadOnlyFiles): string {
  const folders = selfAndAncestors(dirname(entry));
  return (
    folders.find((folder) => files.kind(join(folder, 'package.json')) !== null) ?? dirname(entry)
  );
}

/** `folder` as a whole when nothing in it is to be hidden, else its parts. */
interface Cover {
  readonly whole: boolean;
  readonly parts: readonly string[];
}

/**
 * Rule 1 of the default view: the files of a package without those that look like secrets.
 *
 * A folder that holds an excluded name is granted child by child, because Landlock cannot take a
 * file back out of a granted folder. Links are not followed, folders that the tool can write are
 * not looked into: it could fill them to steer what is granted next time.
 *
 * @param root - real path of the package
 * @param entry - real path that is granted in any case, when the package as a whole is not
 */
export function coverPackage(
  root: string,
  entry: string | null,
  surroundings: CodeSurroundings,
): CodeGrant {
  const manifest = join(root, 'package.json');
  // Without it the same file would silently run as CommonJS instead of ESM.
  const scope = surroundings.files.kind(manifest) === 'file' ? [manifest] : [];
  const alone = entry === null ? [] : [entry, ...scope];
  if (isSharedFolder(root, surroundings.home))
    return { read: alone, modulesFolders: [], folds: [], notes: [sharedNote(root)] };
  const walk = new PackageWalk(surroundings);
  const { whole, parts } = walk.cover(root);
  if (walk.entriesLeft < 0)
    return { read: alone, modulesFolders: [], folds: [], notes: [sizeNote(root)] };
  const notes = walk.leftOut.length === 0 ? [] : [hiddenNote(root, walk.leftOut)];
  // What is withheld by name may lie in a folder that was not looked into.
  const isFolded = !whole && !surroundings.withheld.some((path) => isWithin(path, root));
  return {
    read: [...alone, ...(whole ? [root] : parts)],
    modulesFolders: walk.modules,
    folds: isFolded ? [{ folder: root, hidden: walk.hidden }] : [],
    notes,
  };
}

class PackageWalk {
  entriesLeft: number = ENTRIES_MAX;
  readonly modules: string[] = [];
  readonly leftOut: string[] = [];
  /** Of these, what is not a link: a link is only a name, and leads to nothing that is not granted. */
  readonly hidden: string[] = [];
  readonly #surroundings: CodeSurroundings;

  constructor(surroundings: CodeSurroundings) {
    this.#surroundings = surroundings;
  }

  cover(folder: string): Cover {
    const parts: string[] = [];
    let whole = true;
    for (const { name, kind } of this.#surroundings.files.entries(folder)) {
      this.entriesLeft -= 1;
      if (this.entriesLeft < 0) return { whole: false, parts: [] };
      const path = join(folder, name);
      if (isExcludedName(name) || this.#surroundings.withheld.includes(path)) {
        this.leftOut.push(path);
        if (kind !== 'link') this.hidden.push(path);
        whole = false;
      } else if (kind === 'file') {
        parts.push(path);
      } else if (kind === 'folder') {
        const inner = this.#coverChild(path);
        whole &&= inner.whole;
        parts.push(...inner.parts);
      }
    }
    return whole ? { whole, parts: [folder] } : { whole, parts };
  }

  #coverChild(path: string): Cover {
    const { withheld, writable } = this.#surroundings;
    const isWritable = isWithinAny(path, writable);
    if (!isWritable && !isModulesFolder(path)) return this.cover(path);
    if (!isWritable) this.modules.push(path);
    return { whole: !withheld.some((hidden) => isWithin(hidden, path)), parts: [] };
  }
}

const sharedNote = (root: string): string =>
  `\`${root}\` is not a package of its own: only the tool's file is readable; list \`filesystem.read\``;
const sizeNote = (root: string): string =>
  `\`${root}\` has more than ${ENTRIES_MAX} entries: only the tool's file is readable; list \`filesystem.read\``;
const hiddenNote = (root: string, paths: readonly string[]): string =>
  `${paths.length} names in \`${root}\` look like secrets and are hidden: ${paths
    .slice(0, 5)
    .map((path) => `\`${path.slice(root.length + 1)}\``)
    .join(', ')}${paths.length > 5 ? ' …' : ''}`;
