/**
 * A view is a pure function of what the file system answered when it was computed. Recorded together
 * with the questions, it holds for as long as the same questions get the same answers, and asking
 * them again is ten times cheaper than computing it again (a package with 190 dependencies: 10 ms).
 *
 * Every answer is compared as it is, but for the entries of a folder: those are the same while the
 * folder is the same one with the same change time, which no program can set. A folder that changed
 * just before it was read could change again within the same tick of that clock, so its entries are
 * read again each time until they are old enough.
 */

import { lstatSync, realpathSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  buildFilesystemView,
  type FilesystemView,
  type FilesystemViewInput,
} from './filesystem-view.ts';
import { type FileKind, hostFiles, type ReadOnlyFiles } from './filesystem-view-files.ts';

/** Clocks of file systems tick every 4 to 10 ms, those of some every 2 s. */
const SETTLED_MS = 3000;
const VIEWS_MAX = 64;

/** A view, and whether it still holds. */
export interface RecordedView {
  readonly view: FilesystemView;
  /** Whether it would be computed the same now. Looks at the file system; never throws. */
  readonly isCurrent: () => boolean;
}

/** How answers are looked up again. `stamp` names the state of a folder's entries. */
export interface SecondLook extends Pick<ReadOnlyFiles, 'realPath' | 'kind'> {
  /** null where that cannot be told without reading the entries. */
  readonly stamp: (folder: string) => string | null;
}

/** Computes a view and records what it depends on. */
export function recordView(
  input: FilesystemViewInput,
  files: ReadOnlyFiles = hostFiles,
  again: SecondLook = quickLook,
): RecordedView {
  const answers = new Map<string, () => boolean>();
  const view = buildFilesystemView(input, recorder(files, again, answers));
  return { view, isCurrent: () => [...answers.values()].every((holds) => holds()) };
}

/** The same files, that remember how to find out whether an answer has changed. */
function recorder(
  files: ReadOnlyFiles,
  again: SecondLook,
  answers: Map<string, () => boolean>,
): ReadOnlyFiles {
  const note = <T>(question: string, answer: T, holds: (answer: T) => boolean): T => {
    // INVARIANT: a question that got two answers while the view was computed does not hold.
    const before = answers.get(question) ?? (() => true);
    answers.set(question, () => holds(answer) && before());
    return answer;
  };
  return {
    realPath: (path) =>
      note(`realPath ${path}`, files.realPath(path), (was) => was === again.realPath(path)),
    kind: (path) => note(`kind ${path}`, files.kind(path), (was) => was === again.kind(path)),
    link: (path) => note(`link ${path}`, files.link(path), (was) => was === files.link(path)),
    head: (path, bytesMax) =>
      note(`head ${bytesMax} ${path}`, files.head(path, bytesMax), (was) =>
        isDeepStrictEqual(was, files.head(path, bytesMax)),
      ),
    entries: (folder) => {
      const stamp = again.stamp(folder);
      return note(`entries ${folder}`, files.entries(folder), (was) =>
        stamp === null
          ? isDeepStrictEqual(was, files.entries(folder))
          : stamp === again.stamp(folder),
      );
    },
  };
}

/** Without exceptions: most questions are about what is not there, and each would cost 20 µs. */
const quickLook: SecondLook = {
  realPath: (path) => orNull(() => realpathSync.native(path)),
  kind: (path) =>
    orNull((): FileKind | null => {
      const facts = lstatSync(path, { throwIfNoEntry: false });
      if (facts === undefined) return null;
      if (facts.isFile()) return 'file';
      if (facts.isDirectory()) return 'folder';
      return facts.isSymbolicLink() ? 'link' : 'other';
    }),
  // The inode and its change time, once that is old enough for any later change to show in it.
  stamp: (folder) =>
    orNull(() => {
      const facts = lstatSync(folder, { throwIfNoEntry: false });
      if (facts === undefined || Math.abs(Date.now() - facts.ctimeMs) < SETTLED_MS) return null;
      return `${facts.dev} ${facts.ino} ${facts.ctimeMs}`;
    }),
};

/** As `hostFiles` does: what may not be read is not there. */
function orNull<T>(look: () => T): T | null {
  try {
    return look();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    return null;
  }
}

/**
 * Views of the tools that were run lately, each for as long as it holds. Whose scratch folder it was
 * computed for does not matter: it is told apart by its name alone, which is put in.
 */
export class ViewCache {
  readonly #known = new Map<
    string,
    { readonly scratch: string; readonly recorded: RecordedView }
  >();

  /** Throws what {@link buildFilesystemView} throws; that is never kept. */
  view(input: FilesystemViewInput): RecordedView {
    const { scratch, ...rest } = input;
    const key = JSON.stringify(rest);
    const known = this.#known.get(key);
    this.#known.delete(key);
    const isCurrent = known?.recorded.isCurrent() ?? false;
    const entry =
      known !== undefined && isCurrent ? known : { scratch, recorded: recordView(input) };
    // The one that was asked for last is the last to be forgotten.
    this.#known.set(key, entry);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= VIEWS_MAX) break;
      this.#known.delete(oldest);
    }
    return withScratch(entry.recorded, entry.scratch, scratch);
  }
}

/**
 * The view as it is granted, current only while every path in it is the same file, too: what was
 * mounted or opened stays the old one when a folder is replaced, as by `npm ci`.
 *
 * @param open - what of the readable paths is granted; asked again each time
 */
export function withGranted(
  { view, isCurrent }: RecordedView,
  open: (paths: readonly string[]) => readonly string[],
): RecordedView {
  const read = open(view.read);
  const granted = [...read, ...view.write, ...view.execute];
  const files = granted.map(fileAt);
  return {
    view: { ...view, read },
    isCurrent: () =>
      isCurrent() &&
      isDeepStrictEqual(
        orNull(() => open(view.read)),
        read,
      ) &&
      granted.every((path, index) => fileAt(path) === files[index]),
  };
}

function fileAt(path: string): string | null {
  return orNull(() => {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    return facts === undefined ? null : `${facts.dev} ${facts.ino}`;
  });
}

function withScratch(recorded: RecordedView, was: string, is: string): RecordedView {
  if (was === is) return recorded;
  const { view, isCurrent } = recorded;
  const write = view.write.map((path) => (path === was ? is : path));
  return { view: { ...view, write }, isCurrent };
}
