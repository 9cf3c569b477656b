import { dirname, join } from 'node:path';
import { type CodeSurroundings, coverPackage, packageRootOf } from './filesystem-view-code.ts';
import type { Fold } from './filesystem-view-folds.ts';
import {
  grantAround,
  isHome,
  isModulesFolder,
  isTemporary,
  isWithinAny,
  selfAndAncestors,
} from './filesystem-view-names.ts';
import { isolationUnavailable } from './host-support-error.ts';

/** Packages outside the tree that links lead to: workspaces, stores, `npm link`. */
const LINKED_PACKAGES_MAX = 4096;
/** Names looked at in folders of installed packages, all together. */
const NAMES_MAX = 65_536;
const PLUG_AND_PLAY = ['.pnp.cjs', '.pnp.js', '.pnp.loader.mjs'];

/** A link whose name the tool uses, and the real path behind it. */
export interface Link {
  readonly path: string;
  readonly target: string;
}

/** What Node must be able to read to find the packages of a tool. */
export interface ModulesGrant {
  readonly read: readonly string[];
  readonly links: readonly Link[];
  readonly folds: readonly Fold[];
  readonly notes: readonly string[];
}

/**
 * Rule 2 of the default view: `package.json` and `node_modules` of a package and of every folder
 * above it as far as the home, and the packages that links in them lead to, each again under rule
 * 1. This is the way Node resolves a bare import, from real paths.
 *
 * A link is followed only where the tool cannot have made it, and only to something that is a
 * package: a planted `node_modules/x -> ~/.ssh` grants nothing.
 *
 * @param root - real path of the package of the tool
 * @param folders - folders of installed packages that rule 1 found in it, or that it lies in
 * @throws {IsolationUnavailableError} for Yarn Plug'n'Play, which keeps packages in archives
 */
export function coverModules(
  root: string,
  folders: readonly string[],
  surroundings: CodeSurroundings,
): ModulesGrant {
  const search = new ModulesSearch(surroundings);
  search.enter(root);
  for (const folder of folders) search.scan(folder);
  search.followAll();
  const { read, links, folds, notes } = search;
  return { read, links, folds, notes };
}

class ModulesSearch {
  readonly read: string[] = [];
  readonly links: Link[] = [];
  readonly folds: Fold[] = [];
  readonly notes: string[] = [];
  readonly #surroundings: CodeSurroundings;
  readonly #entered = new Set<string>();
  readonly #scanned = new Set<string>();
  /** Real paths of linked packages, in the order they were found. */
  readonly #packages = new Set<string>();
  #namesLeft: number = NAMES_MAX;

  constructor(surroundings: CodeSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Grants what resolution from `root` upwards reads. */
  enter(root: string): void {
    const { files, home } = this.#surroundings;
    for (const folder of selfAndAncestors(root)) {
      if (isHome(folder, home) && folder !== '/') return;
      if (this.#entered.has(folder)) return;
      this.#entered.add(folder);
      if (isTemporary(folder)) continue;
      this.#refusePlugAndPlay(folder);
      this.#grantManifest(folder);
      const modules = join(folder, 'node_modules');
      if (!isModulesFolder(folder) && files.kind(modules) !== null) this.scan(modules);
    }
  }

  /** Grants a folder of installed packages and remembers the links in it. */
  scan(named: string): void {
    const { files, withheld, writable } = this.#surroundings;
    const folder = files.realPath(named);
    if (folder === null || this.#scanned.has(folder) || isWithinAny(folder, writable)) return;
    if (folder !== named && !(isModulesFolder(folder) && this.#mayFollow(named, folder))) return;
    this.#scanned.add(folder);
    this.read.push(...grantAround(folder, withheld, files));
    this.#scanNames(folder);
  }

  followAll(): void {
    for (const target of this.#packages) {
      const { read, modulesFolders, folds, notes } = coverPackage(target, null, this.#surroundings);
      this.read.push(...read);
      this.folds.push(...folds);
      this.notes.push(...notes);
      this.enter(target);
      for (const folder of modulesFolders) this.scan(folder);
    }
  }

  #refusePlugAndPlay(folder: string): void {
    const found = PLUG_AND_PLAY.find(
      (name) => this.#surroundings.files.kind(join(folder, name)) !== null,
    );
    if (found === undefined) return;
    throw isolationUnavailable({
      cause: `\`${join(folder, found)}\`: packages of Yarn Plug'n'Play are archives that a confined tool cannot load`,
      remedy: 'set `nodeLinker: node-modules` in `.yarnrc.yml` and run `yarn install`',
    });
  }

  #grantManifest(folder: string): void {
    const manifest = join(folder, 'package.json');
    const real = this.#surroundings.files.realPath(manifest);
    if (real === null || this.#isWithheld(real)) return;
    if (real !== manifest && !this.#mayFollow(manifest, real)) return;
    this.read.push(real);
  }

  #scanNames(folder: string): void {
    for (const { name, kind } of this.#surroundings.files.entries(folder)) {
      this.#namesLeft -= 1;
      if (this.#namesLeft < 0) {
        if (this.#namesLeft === -1)
          this.notes.push('too many installed packages: some links are not followed');
        return;
      }
      const path = join(folder, name);
      if (kind === 'link') this.#follow(path);
      else if (kind === 'folder') this.#scanFolder(folder, path, name);
    }
  }

  #scanFolder(folder: string, path: string, name: string): void {
    if (name === '.bin' || isWithinAny(path, this.#surroundings.writable)) return;
    if (isModulesFolder(folder) && (name.startsWith('@') || name === '.pnpm')) {
      this.#scanNames(path);
      return;
    }
    const nested = isModulesFolder(path) ? path : join(path, 'node_modules');
    if (this.#surroundings.files.kind(nested) === 'folder') this.#scanNames(nested);
  }

  #follow(path: string): void {
    const { files } = this.#surroundings;
    const target = files.realPath(path);
    if (target === null || isWithinAny(target, this.#scanned)) return;
    if (files.kind(target) !== 'folder' || !this.#mayFollow(path, target)) return;
    if (packageRootOf(join(target, 'index.js'), files) !== target) {
      this.notes.push(`\`${path}\` leads to \`${target}\`, which is not a package: not granted`);
    } else if (this.#packages.size >= LINKED_PACKAGES_MAX) {
      this.notes.push(`\`${path}\`: too many linked packages, not granted`);
    } else this.#packages.add(target);
  }

  /** Whether the link at `path` may widen the view, and with it the name under which it is known. */
  #mayFollow(path: string, target: string): boolean {
    if (isWithinAny(path, this.#surroundings.writable)) {
      this.notes.push(`\`${path}\` is a link that the tool could have made: not followed`);
      return false;
    }
    if (this.#isWithheld(target)) return false;
    this.links.push({ path, target });
    this.#rememberHops(path, target);
    return true;
  }

  /** Every link between the name and the real path has a name that must exist in a new root. */
  #rememberHops(path: string, target: string): void {
    const { files } = this.#surroundings;
    let at = path;
    for (let hops = 0; hops < 8; hops += 1) {
      const next = files.link(at);
      if (next === null) return;
      at = next.startsWith('/') ? next : join(files.realPath(dirname(at)) ?? dirname(at), next);
      if (at !== target && files.kind(at) === 'link') this.links.push({ path: at, target });
    }
  }

  #isWithheld(path: string): boolean {
    return isWithinAny(path, this.#surroundings.withheld);
  }
}
