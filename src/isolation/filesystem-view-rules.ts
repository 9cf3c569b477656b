import { isAbsolute } from 'node:path';
import type { FilesystemRules } from '../call.ts';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';
import {
  absentProtectedNames,
  existingProtectedNames,
  type Mask,
  masksWithin,
} from './filesystem-view-masks.ts';
import {
  isWithin,
  isWithinAny,
  outermost,
  realPathOrFuture,
  withoutTrailingSlash,
} from './filesystem-view-names.ts';
import { isolationUnavailable } from './host-support-error.ts';

/** More mounts than this in one sandbox are a mistake in the policy. */
const MASKS_MAX = 256;
const KERNEL_FOLDERS = ['/proc', '/sys', '/dev'];
const HOST_FOLDERS: ReadonlySet<string> = new Set([
  ...['/', '/bin', '/boot', '/etc', '/home', '/lib', '/lib64', '/root', '/run', '/sbin'],
  ...['/usr', '/usr/bin', '/usr/lib', '/usr/local', '/usr/local/bin', '/usr/local/lib', '/var'],
]);

/** What the policy adds to the default view, as real paths. */
export interface PolicyGrant {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly execute: readonly string[];
  readonly masks: readonly Mask[];
  /** Real paths that no grant may contain. */
  readonly withheld: readonly string[];
}

/** The part of the input of a view that the policy's own paths are checked against. */
export interface PolicyGrantInput {
  readonly rules: FilesystemRules;
  readonly entry: string;
  readonly tier: 'hardened' | 'isolated';
  readonly home: string;
  readonly protectedPaths: readonly string[];
  readonly files: ReadOnlyFiles;
}

interface Named {
  readonly named: string;
  readonly real: string;
}

/**
 * Checks and resolves `filesystem:` of a policy.
 *
 * @throws {IsolationUnavailableError} for a path that does not exist; a path below a write path
 * (the tool could swap it for a link between two calls); a write path over the tool, over our own
 * files, a home or a folder of the host; a path inside a denied one; and, at `hardened`, where
 * nothing can be mounted over, for a grant that contains a denied or protected path
 */
export function policyGrant(input: PolicyGrantInput): PolicyGrant {
  const { rules, protectedPaths, files } = input;
  const resolve = (paths: readonly string[]) => paths.map((named) => existing(named, files));
  const write = resolve(rules.write);
  const read = resolve(rules.read);
  const execute = resolve(rules.execute);
  const withheld = outermost(
    [...rules.deny, ...protectedPaths].map((path) => realPathOrFuture(path, files)),
  );
  for (const path of write) checkWrite(path, input);
  for (const path of [...read, ...execute]) checkRead(path);
  for (const path of [...read, ...execute, ...write]) {
    checkNotBelow(path, write);
    checkNotWithheld(path, withheld);
  }
  const reals = (paths: readonly Named[]) => outermost(paths.map(({ real }) => real));
  const grants = { read: reals(read), write: reals(write), execute: reals(execute) };
  const masks = input.tier === 'isolated' ? masksOf(grants, withheld, input) : [];
  if (input.tier === 'hardened') checkContainsNothing(grants, withheld, input);
  return { ...grants, masks, withheld };
}

type Grants = Pick<PolicyGrant, 'read' | 'write' | 'execute'>;

function existing(path: string, files: ReadOnlyFiles): Named {
  const named = withoutTrailingSlash(path);
  const real = isAbsolute(named) ? files.realPath(named) : null;
  if (real !== null) return { named, real };
  throw isolationUnavailable({
    cause: `\`filesystem\` names \`${named}\`, which does not exist or cannot be reached`,
    remedy: 'create it before the call or take it out of the policy',
  });
}

function refuse(path: string, cause: string, remedy: string): never {
  throw isolationUnavailable({ cause: `\`filesystem\`: \`${path}\` ${cause}`, remedy });
}

function checkWrite(
  { named, real }: Named,
  { entry, home, protectedPaths, files }: PolicyGrantInput,
): void {
  if (isWithinAny(real, KERNEL_FOLDERS) || HOST_FOLDERS.has(real) || isWithin(home, real))
    refuse(named, 'cannot be writable: it belongs to the host or is a home', 'name a folder in it');
  if (isWithin(entry, real))
    refuse(named, 'holds the tool itself', 'name a folder beside the tool');
  for (const path of protectedPaths) {
    const own = realPathOrFuture(path, files);
    if (isWithin(own, real) || isWithin(real, own))
      refuse(named, `overlaps \`${path}\`, which belongs to enforcecore`, 'name another folder');
  }
}

function checkRead({ named, real }: Named): void {
  if (real === '/' || isWithin(real, '/proc'))
    refuse(
      named,
      'cannot be granted: it shows the host and its processes',
      'name what the tool needs',
    );
}

/** C3 of the red-team: a tool that can write the folder above swaps the path for a link. */
function checkNotBelow({ named, real }: Named, write: readonly Named[]): void {
  const above = write.find(
    (folder) =>
      [named, real].some((path) => isWithin(path, folder.real) && path !== folder.real) ||
      (isWithin(named, folder.named) && named !== folder.named),
  );
  if (above !== undefined)
    refuse(named, `lies below the write path \`${above.named}\``, 'move it out of the write path');
}

function checkNotWithheld({ named, real }: Named, withheld: readonly string[]): void {
  if (isWithinAny(real, withheld) || isWithinAny(named, withheld))
    refuse(named, 'lies in a denied path', 'take it out of `deny` or out of the grants');
}

/** Landlock grants folders whole: a path inside cannot be taken back. */
function checkContainsNothing(
  grants: Grants,
  withheld: readonly string[],
  input: PolicyGrantInput,
): void {
  const remedy = 'narrow the path, or use `isolation.level: isolated`';
  for (const folder of [...grants.read, ...grants.write, ...grants.execute]) {
    const inside = withheld.find((path) => isWithin(path, folder));
    if (inside !== undefined)
      refuse(folder, `contains \`${inside}\`, which \`hardened\` cannot take back out`, remedy);
  }
  for (const folder of grants.write) {
    const { found, complete } = protectedIn(folder, input.files);
    if (found !== undefined)
      refuse(folder, `contains \`${found}\`, which \`hardened\` cannot protect`, remedy);
    if (!complete) refuse(folder, 'is too large to be searched for names to protect', remedy);
  }
}

/** A package or repository: a new `.npmrc` or `.vscode` in it would be obeyed by other programs. */
function protectedIn(folder: string, files: ReadOnlyFiles): { found?: string; complete: boolean } {
  const project = ['.git', 'package.json'].find((name) => files.kind(`${folder}/${name}`) !== null);
  if (project !== undefined) return { found: `${folder}/${project}`, complete: true };
  const { found, complete } = existingProtectedNames(folder, files);
  return found[0] === undefined ? { complete } : { found: found[0], complete };
}

function masksOf(
  grants: Grants,
  withheld: readonly string[],
  { files }: PolicyGrantInput,
): readonly Mask[] {
  const hidden = [...grants.read, ...grants.write, ...grants.execute].flatMap((folder) => {
    const inside = withheld.filter((path) => isWithin(path, folder));
    const masks = masksWithin(folder, inside, 'hide', files);
    return grants.write.includes(folder) ? masks : masks.filter(({ effect }) => effect === 'hide');
  });
  const kept = grants.write.flatMap((folder) => {
    if (files.kind(folder) !== 'folder') return [];
    const { found, complete } = existingProtectedNames(folder, files);
    if (!complete)
      refuse(folder, 'is too large to be searched for names to protect', 'narrow the path');
    const names = [...found, ...absentProtectedNames(folder, files)];
    return masksWithin(
      folder,
      names.filter((path) => !isWithinAny(path, withheld)),
      'read-only',
      files,
    );
  });
  const masks = distinct([...hidden, ...kept]);
  if (masks.length > MASKS_MAX)
    refuse(grants.write[0] ?? '', `needs more than ${MASKS_MAX} mounts`, 'narrow the write paths');
  return masks;
}

/** One mask per path, the strongest effect first, parents before children. */
function distinct(masks: readonly Mask[]): readonly Mask[] {
  const strength = { hide: 2, 'read-only': 1, pin: 0 };
  const byPath = new Map<string, Mask>();
  for (const mask of masks) {
    const other = byPath.get(mask.path);
    if (other === undefined || strength[other.effect] < strength[mask.effect])
      byPath.set(mask.path, mask);
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
