import { basename, dirname, join, normalize } from 'node:path';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';

/**
 * Names of files that usually hold secrets: they are left out of a tool's view unless the policy
 * lists them. Matched without regard to case.
 */
const EXCLUDED_NAME = /^\.|\.(pem|key|p12|pfx|jks|keystore)$|^id_|credentials|secret/i;

/** Folders that belong to everybody or to the host: never anybody's package. */
const SHARED_FOLDERS: ReadonlySet<string> = new Set([
  ...[
    '/',
    '/bin',
    '/boot',
    '/dev',
    '/dev/shm',
    '/etc',
    '/home',
    '/lib',
    '/lib64',
    '/media',
    '/mnt',
  ],
  ...['/opt', '/proc', '/root', '/run', '/sbin', '/srv', '/sys', '/tmp', '/usr', '/usr/bin'],
  ...[
    '/usr/lib',
    '/usr/local',
    '/usr/local/bin',
    '/usr/local/lib',
    '/usr/share',
    '/var',
    '/var/tmp',
  ],
]);
const TEMPORARY: ReadonlySet<string> = new Set(['/tmp', '/var/tmp', '/dev/shm']);
const HOME = /^\/(home|run\/user|Users)\/[^/]+$/;

/**
 * What a tool with a writable folder must not plant there, because another program of the user
 * would run it: git hooks, shell profiles, configuration of editors, package tools and agents.
 */
export const PROTECTED_NAMES: readonly string[] = [
  ...['.git/hooks', '.git/config', '.gitconfig', '.gitmodules', '.husky', '.envrc'],
  ...['.bashrc', '.bash_profile', '.bash_login', '.bash_logout', '.profile'],
  ...['.zshrc', '.zshenv', '.zprofile', '.zlogin', '.zlogout'],
  ...['.mcp.json', '.claude', '.cursor', '.vscode', '.idea'],
  ...['.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs'],
];

/** True for a name that is left out of folders which are granted by default. */
export function isExcludedName(name: string): boolean {
  return EXCLUDED_NAME.test(name);
}

/** True when `path` is `folder` or lies below it. Both absolute, without `..`. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** True when `path` lies in one of `folders`, or is one of them. */
export function isWithinAny(path: string, folders: Iterable<string>): boolean {
  for (const folder of folders) if (isWithin(path, folder)) return true;
  return false;
}

/** True for the home of this user or of another one. */
export function isHome(folder: string, home: string): boolean {
  return folder === home || folder === '/root' || HOME.test(folder);
}

/** True for a folder in which every user can plant files. */
export function isTemporary(folder: string): boolean {
  return TEMPORARY.has(folder);
}

/**
 * True for a folder that is never granted as somebody's package: the root, a home, a folder above
 * a home, a temporary folder, a folder of the host.
 */
export function isSharedFolder(folder: string, home: string): boolean {
  return SHARED_FOLDERS.has(folder) || isHome(folder, home) || isWithin(home, folder);
}

/** `path` and the folders above it, nearest first, the root last. */
export function selfAndAncestors(path: string): readonly string[] {
  const all = [path];
  for (let at = path; at !== dirname(at); ) {
    at = dirname(at);
    all.push(at);
  }
  return all;
}

/** `paths` without those that lie in another one of them, sorted. */
export function outermost(paths: Iterable<string>): readonly string[] {
  const kept: string[] = [];
  const seen = new Set<string>();
  for (const path of [...new Set(paths)].sort()) {
    if (selfAndAncestors(path).some((above) => seen.has(above))) continue;
    seen.add(path);
    kept.push(path);
  }
  return kept;
}

/** True for a folder of installed packages. */
export function isModulesFolder(path: string): boolean {
  return basename(path) === 'node_modules';
}

/**
 * `folder`, or, where it contains paths to withhold, everything in it but those: Landlock cannot
 * take a path back out of a granted folder.
 */
export function grantAround(
  folder: string,
  withheld: readonly string[],
  files: ReadOnlyFiles,
): readonly string[] {
  if (withheld.some((path) => isWithin(folder, path))) return [];
  if (!withheld.some((path) => isWithin(path, folder))) return [folder];
  return files
    .entries(folder)
    .filter(({ kind }) => kind === 'file' || kind === 'folder')
    .flatMap(({ name }) => grantAround(join(folder, name), withheld, files));
}

/** The real path of `path`, or, where it does not exist yet, the one it would have. */
export function realPathOrFuture(path: string, files: ReadOnlyFiles): string {
  const real = files.realPath(path);
  if (real !== null || path === dirname(path)) return real ?? path;
  return join(realPathOrFuture(dirname(path), files), basename(path));
}

/** `path` without `.`, `..`, doubled slashes and the one at its end. */
export function withoutTrailingSlash(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}
