import { readFileSync, realpathSync, statSync } from 'node:fs';
import { type IdMapping, type OpenMapping, openIdMapping } from './call-identity-mounts.ts';
import { outermost } from './filesystem-view-names.ts';
import { isolationUnavailable } from './host-support-error.ts';
import type { Launcher } from './launcher.ts';

/** Write paths of one owner: what the call's own user makes in them will belong to the owner. */
export interface OwnedPaths {
  readonly owner: IdMapping['owner'];
  /** Real paths. */
  readonly paths: readonly string[];
}

/** Open mappings, one for each of the owners they were opened for, in that order. */
export interface OpenOwners {
  readonly descriptors: readonly number[];
  readonly close: () => void;
}

/**
 * To whom write paths belong, grouped by owner.
 *
 * @param named - as the policy names them
 */
export function writePathOwners(named: readonly string[]): readonly OwnedPaths[] {
  const owned = new Map<string, OwnedPaths>();
  const paths = realPathsOf(named);
  refuseMountsBelow(paths);
  for (const path of paths) {
    const { uid, gid } = statSync(path);
    const key = `${uid}:${gid}`;
    const { paths } = owned.get(key) ?? { paths: [] };
    owned.set(key, { owner: { uid, gid }, paths: [...paths, path] });
  }
  return [...owned.values()];
}

/**
 * A mapped mount is a copy of one mount: a tool would see what lies under the one inside, which is
 * neither watched nor seen by anybody else.
 */
function refuseMountsBelow(paths: readonly string[]): void {
  const below = mountPoints().find((point) =>
    paths.some((path) => point !== path && point.startsWith(`${path}/`)),
  );
  if (below === undefined) return;
  throw isolationUnavailable({
    cause: `\`${below}\` is mounted inside a write path`,
    remedy: 'name the folders beside it, or it alone',
  });
}

/** Field 5 of each line, with its octal escapes undone. See proc_pid_mountinfo(5). */
function mountPoints(): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}

/** The real paths among `named`, outermost only. One that does not exist is left to the view to refuse. */
export function realPathsOf(named: readonly string[]): readonly string[] {
  return outermost(named.flatMap(realPath));
}

/**
 * Opens a mapping between each owner and the call's user.
 *
 * @param id - of the call, user and group alike
 * @throws {IsolationUnavailableError} where the kernel has no user namespaces to hold a mapping
 */
export async function openOwners(
  launcher: Launcher,
  owned: readonly OwnedPaths[],
  id: number,
): Promise<OpenOwners> {
  const open: OpenMapping[] = [];
  const close = (): void => {
    for (const mapping of open.splice(0)) mapping.close();
  };
  try {
    for (const { owner } of owned) open.push(await openIdMapping(launcher, { owner, id }));
  } catch (error) {
    close();
    throw error;
  }
  return { descriptors: open.map(({ descriptor }) => descriptor), close };
}

function realPath(path: string): readonly string[] {
  try {
    return [realpathSync(path)];
  } catch {
    // It does not exist or cannot be reached, which is no path to give away.
    return [];
  }
}
