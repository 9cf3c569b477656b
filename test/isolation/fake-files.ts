import { dirname, join, resolve } from 'node:path';
import type { FileKind, ReadOnlyFiles } from '../../src/isolation/filesystem-view-files.ts';

/** A path and its content; `-> target` makes a link, `null` an empty folder. */
export type Tree = Readonly<Record<string, string | Uint8Array | null>>;

/** A file system in memory. Folders above a path exist without being listed. */
export function fakeFiles(tree: Tree): ReadOnlyFiles {
  const nodes = new Map<string, string | Uint8Array | null>([['/', null]]);
  for (const [path, content] of Object.entries(tree)) {
    for (let above = dirname(path); !nodes.has(above); above = dirname(above))
      nodes.set(above, null);
    nodes.set(path, content);
  }
  const linkOf = (path: string) => {
    const content = nodes.get(path);
    return typeof content === 'string' && content.startsWith('-> ') ? content.slice(3) : null;
  };
  const realPath = (path: string, hops = 0): string | null => {
    let at = '/';
    for (const part of path.split('/').filter(Boolean)) {
      const next = join(at, part);
      const target = linkOf(next);
      if (!nodes.has(next) || hops > 40) return null;
      const real = target === null ? next : realPath(resolve(at, target), hops + 1);
      if (real === null) return null;
      at = real;
    }
    return at;
  };
  const placeOf = (path: string) => {
    const folder = realPath(dirname(path));
    return folder === null ? null : join(folder, path.slice(path.lastIndexOf('/') + 1));
  };
  const kind = (path: string): FileKind | null => {
    const place = path === '/' ? '/' : placeOf(path);
    const content = place === null ? undefined : nodes.get(place);
    if (place === null || content === undefined) return null;
    if (content === null) return 'folder';
    return linkOf(place) === null ? 'file' : 'link';
  };
  return {
    realPath: (path) => realPath(path),
    kind,
    entries: (folder) => {
      const real = realPath(folder);
      return [...nodes.keys()]
        .filter((path) => path !== '/' && dirname(path) === real)
        .sort()
        .map((path) => ({
          name: path.slice(path.lastIndexOf('/') + 1),
          kind: kind(path) ?? 'other',
        }));
    },
    link: (path) => linkOf(placeOf(path) ?? path),
    head: (path, bytesMax) => {
      const content = nodes.get(realPath(path) ?? '') ?? '';
      return Buffer.from(content).subarray(0, bytesMax);
    },
  };
}
