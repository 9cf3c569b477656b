import { join } from 'node:path';
import type { FilesystemRules } from '../call.ts';
import { coverPackage, packageRootOf } from './filesystem-view-code.ts';
import { hostFiles, type ReadOnlyFiles } from './filesystem-view-files.ts';
import type { Fold } from './filesystem-view-folds.ts';
import type { Mask } from './filesystem-view-masks.ts';
import { coverModules, type Link } from './filesystem-view-modules.ts';
import {
  grantAround,
  isModulesFolder,
  isSharedFolder,
  isWithinAny,
  outermost,
  selfAndAncestors,
  withoutTrailingSlash,
} from './filesystem-view-names.ts';
import { programChain } from './filesystem-view-program.ts';
import { type PolicyGrant, policyGrant } from './filesystem-view-rules.ts';
import { systemView } from './filesystem-view-system.ts';
import { isolationUnavailable } from './host-support-error.ts';

const NOTES_MAX = 32;

/** Everything a tool can reach of the file system. All paths are absolute and real. */
export interface FilesystemView {
  /** Files and folders with everything in them, outermost only. */
  readonly read: readonly string[];
  /** Read and write. The scratch folder and `/dev/null` are among them. */
  readonly write: readonly string[];
  readonly execute: readonly string[];
  /** What is mounted over at `isolated`; empty at `hardened`. */
  readonly masks: readonly Mask[];
  /** Packages that are granted in parts, for fewer mounts at `isolated`. */
  readonly folds: readonly Fold[];
  /** Names that are links on this host and must be links in a new root too. */
  readonly links: readonly Link[];
  /** For people: what was left out and why. */
  readonly notes: readonly string[];
}

/** What the view of one tool is computed from. */
export interface FilesystemViewInput {
  /** Real path of the module or program. */
  readonly entry: string;
  readonly kind: 'module' | 'command';
  /** Further code files of a command, such as the script an interpreter is given. Real paths. */
  readonly scripts?: readonly string[];
  readonly rules: FilesystemRules;
  readonly tier: 'hardened' | 'isolated';
  readonly profile: 'strict' | 'compat' | 'off';
  /** Real path of the Node binary that runs module tools. */
  readonly nodePath: string;
  /** Real path of the folder of the worker runtime. */
  readonly runtimeDir: string;
  readonly home: string;
  /** Trail, policies, keys, state: never readable. */
  readonly protectedPaths: readonly string[];
  /** The call's scratch folder, or a name it will have. */
  readonly scratch: string;
}

/**
 * The default view of a tool and what the policy adds to it. Computed once per tool: it looks
 * through the tool's package, bounded at 4,096 entries.
 *
 * Without any `filesystem:` in the policy a typical npm tool finds its code and its packages, and
 * no secret that lies beside them.
 *
 * @throws {IsolationUnavailableError} for a policy that this tier cannot enforce, a tool in a
 * denied place, and Yarn Plug'n'Play
 * @see docs/isolation.md, "What the tool can read and write"
 */
export function buildFilesystemView(
  input: FilesystemViewInput,
  files: ReadOnlyFiles = hostFiles,
): FilesystemView {
  const policy = policyGrant({ ...input, files });
  const code = [input.entry, ...(input.scripts ?? [])];
  for (const path of code) refuseWithheld(path, policy);
  const surroundings = {
    files,
    home: input.home,
    withheld: policy.withheld,
    writable: [...policy.write, input.scratch],
  };
  const own = input.kind === 'module' ? moduleView(input.entry, surroundings) : NOTHING;
  const programs = input.kind === 'module' ? [input.nodePath] : code;
  const chains = [...programs, ...policy.execute].map((program) => programChain(program, files));
  // Programs of an executable folder need the loader, which is Node's own.
  const loader = policy.execute.length === 0 ? [] : programChain(input.nodePath, files).execute;
  const execute = outermost([
    ...chains.flatMap((chain) => chain.execute),
    ...policy.execute,
    ...loader.slice(1),
  ]);
  // The tool's own folder is not part of the host, even where it lies in `/usr/lib`.
  const apart = [...policy.withheld, ...(own.root === null ? [] : [own.root])];
  const system = systemView({ ...input, files, withheld: apart });
  const runtime = [
    ...grantAround(input.runtimeDir, policy.withheld, files),
    ...runtimeManifest(input.runtimeDir, policy.withheld, files),
  ];
  const names = chains.flatMap((chain) => chain.names);
  return {
    read: outermost([
      ...code,
      ...own.read,
      ...(input.kind === 'module' ? [...runtime, input.nodePath] : []),
      ...system.read,
      ...policy.read,
      ...execute,
    ]),
    write: outermost([...system.write, ...policy.write, input.scratch]),
    execute,
    masks: policy.masks,
    folds: own.folds,
    links: distinctLinks([
      ...own.links,
      ...system.links,
      ...names.flatMap((path) => [{ path, target: files.realPath(path) ?? path }]),
      ...policyLinks(input.rules, files),
    ]),
    notes: [...new Set(own.notes)].slice(0, NOTES_MAX),
  };
}

/** It says what kind of modules ours are. Node 24 does not start where it is there and unreadable. */
function runtimeManifest(
  folder: string,
  withheld: readonly string[],
  files: ReadOnlyFiles,
): readonly string[] {
  const manifest = join(packageRootOf(join(folder, 'entry'), files), 'package.json');
  return files.kind(manifest) === 'file' ? grantAround(manifest, withheld, files) : [];
}

interface OwnView {
  /** The tool's package, where it is not one that was installed into a folder of packages. */
  readonly root: string | null;
  readonly read: readonly string[];
  readonly links: readonly Link[];
  readonly folds: readonly Fold[];
  readonly notes: readonly string[];
}

const NOTHING: OwnView = { root: null, read: [], links: [], folds: [], notes: [] };

function moduleView(entry: string, surroundings: Parameters<typeof coverModules>[2]): OwnView {
  const root = packageRootOf(entry, surroundings.files);
  const installedIn = selfAndAncestors(root).filter(isModulesFolder);
  const code =
    installedIn.length === 0
      ? coverPackage(root, entry, surroundings)
      : { read: [entry], modulesFolders: installedIn, folds: [], notes: [] };
  const modules = coverModules(root, code.modulesFolders, surroundings);
  const apart = installedIn.length === 0 && !isSharedFolder(root, surroundings.home);
  return {
    root: apart ? root : null,
    read: [...code.read, ...modules.read],
    links: modules.links,
    folds: [...code.folds, ...modules.folds],
    notes: [...code.notes, ...modules.notes],
  };
}

function refuseWithheld(path: string, { withheld }: PolicyGrant): void {
  if (!isWithinAny(path, withheld)) return;
  throw isolationUnavailable({
    cause: `the tool \`${path}\` lies in a path that no tool may read`,
    remedy: 'move the tool, or take the path out of `filesystem.deny`',
  });
}

function policyLinks(rules: FilesystemRules, files: ReadOnlyFiles): readonly Link[] {
  const named = [...rules.read, ...rules.write, ...rules.execute].map(withoutTrailingSlash);
  return named.flatMap((path) => {
    const target = files.realPath(path) ?? path;
    return target === path ? [] : [{ path, target }];
  });
}

function distinctLinks(links: readonly Link[]): readonly Link[] {
  return [...new Map(links.map((link) => [link.path, link])).values()];
}
