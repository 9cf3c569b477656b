import { dirname } from 'node:path';
import { isOpenToOthers } from './access-by-others.ts';
import type { FilesystemView } from './filesystem-view.ts';
import { hostFiles } from './filesystem-view-files.ts';
import { foldMounts } from './filesystem-view-folds.ts';
import type { Mask } from './filesystem-view-masks.ts';
import { isWithin, isWithinAny, selfAndAncestors } from './filesystem-view-names.ts';
import { isolationUnavailable } from './host-support-error.ts';

/** Every bind is a mount, and bwrap reads the table of mounts again for each: 512 took 60 ms. */
const BINDS_MAX = 512;
/** Comes with the new root: these are never bound from the host. */
const OWN_MOUNTS = ['/proc', '/dev'];

/** Who the tool is inside. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
  /**
   * True: bwrap runs as root, makes every bind as root and creates no user namespace; the launcher
   * inside changes to `uid`. False: bwrap runs as an ordinary user in a new user namespace.
   */
  readonly droppedInside: boolean;
}

/** What one sandbox is built from. */
export interface BubblewrapInput {
  readonly view: FilesystemView;
  /** Made as a tmpfs of at most `bytes`; working directory, HOME and TMPDIR of the tool. */
  readonly scratch: { readonly path: string; readonly bytes: number };
  readonly user: SandboxUser;
  /** `unrestricted` shares the network of the host; anything else is an empty namespace. */
  readonly network: 'none' | 'bridged' | 'unrestricted';
  /** Sockets of the supervisor and where the tool finds them. */
  readonly sockets: readonly { readonly path: string; readonly target: string }[];
  /** The first descriptor that is free: first the data, then the binds, one after another. */
  readonly firstDescriptor: number;
  /** What runs inside: the inner launcher and its arguments. */
  readonly command: readonly [string, ...string[]];
}

/** A path that must be open, with O_PATH and no link followed, as `descriptor` when bwrap starts. */
export interface BubblewrapBind {
  readonly descriptor: number;
  /** Real path on the host. */
  readonly path: string;
  readonly access: 'read' | 'write';
}

/** How to start bwrap. Start it with an empty environment: pid 1 inside shows it to the tool. */
export interface BubblewrapLaunch {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly binds: readonly BubblewrapBind[];
  /** Text that must be readable to its end on `descriptor` when bwrap starts. */
  readonly data: readonly { readonly descriptor: number; readonly text: string }[];
}

/**
 * Arguments of bwrap for a new root that holds the view and nothing else.
 *
 * Bind sources are descriptors, not paths: whoever starts bwrap opens each real path without
 * following links, so that a path which was swapped since it was resolved fails instead of leading
 * elsewhere. The root itself becomes read-only, `/dev` too: both are tmpfs without a size.
 *
 * A package that is granted in parts is mounted whole where that takes fewer mounts: then the folders
 * and hidden names of this host are looked at, otherwise nothing is.
 *
 * @throws {IsolationUnavailableError} for a view that needs more than 512 mounts
 * @throws {RangeError} for a relative scratch path
 * @see bwrap(1), written for and measured with 0.8
 */
export function bubblewrapArguments(input: BubblewrapInput): BubblewrapLaunch {
  const { view, scratch, user } = input;
  if (!scratch.path.startsWith('/')) throw new RangeError(`\`${scratch.path}\` is not absolute`);
  const isOpen = user.droppedInside ? isOpenToOthers : () => true;
  const folded = foldMounts(view, hostFiles, isOpen);
  const masks = [...folded.masks, ...view.masks];
  const paths = boundPaths({ ...view, read: folded.read }, scratch.path);
  if (paths.length + masks.length > BINDS_MAX)
    throw isolationUnavailable({
      cause: `the tool needs ${paths.length + masks.length} separate mounts, and at most ${BINDS_MAX} are made`,
      remedy: 'name the folders it needs in `filesystem.read`, or move secrets out of its package',
    });
  const descriptors = descriptorsFrom(input.firstDescriptor);
  const sockets = input.sockets.map(({ path, target }) => ({
    path,
    target,
    access: 'read' as const,
  }));
  const kept = masks.flatMap(keptPath);
  const accounts = accountFiles(user, scratch.path).map((file) => ({
    ...file,
    descriptor: descriptors(),
  }));
  const binds = [...paths, ...sockets, ...kept].map((bind) => ({
    ...bind,
    descriptor: descriptors(),
  }));
  const links = linksOutside(view, paths, scratch.path);
  const ofTarget = new Map(binds.map((bind) => [bind.target, bind]));
  const argv = [
    ...namespaces(input),
    ...['--die-with-parent', '--new-session', '--clearenv'],
    ...privileges(user),
    ...parentFolders(
      [...binds, ...links].map(({ target }) => target),
      scratch.path,
    ),
    ...binds.slice(0, binds.length - kept.length).flatMap(bindArguments),
    ...['--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys'],
    ...['--dev', '/dev', '--remount-ro', '/dev'],
    ...accounts.flatMap(({ descriptor, path }) => [
      ...['--perms', '0444', '--ro-bind-data', `${descriptor}`, path],
    ]),
    ...scratchMount(input),
    ...masks.flatMap((mask) => maskArguments(mask, ofTarget.get(mask.path))),
    ...links.flatMap(({ target, source }) => ['--symlink', source, target]),
    ...['--remount-ro', '/', '--chdir', scratch.path, '--'],
    ...input.command,
  ];
  return {
    argv,
    binds: binds.map(({ descriptor, path, access }) => ({ descriptor, path, access })),
    data: accounts.map(({ descriptor, text }) => ({ descriptor, text })),
  };
}

interface BoundPath {
  readonly path: string;
  readonly target: string;
  readonly access: 'read' | 'write';
}

/** Parents before children, so that a writable folder lies on top of the readable one around it. */
function boundPaths(view: FilesystemView, scratch: string): readonly BoundPath[] {
  const of = (paths: readonly string[], access: 'read' | 'write') =>
    paths
      .filter((path) => !isWithinAny(path, OWN_MOUNTS) && !isWithin(path, scratch))
      .map((path) => ({ path, target: path, access }));
  return [...of(view.read, 'read'), ...of(view.write, 'write')].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );
}

function descriptorsFrom(first: number): () => number {
  let next = first;
  return () => next++;
}

/** bwrap makes missing parents with mode 0700: closed to the user that the launcher changes to. */
function parentFolders(targets: readonly string[], scratch: string): readonly string[] {
  const parents = [...targets, scratch, '/etc/passwd'].flatMap((target) => {
    const above = selfAndAncestors(dirname(target)).slice(0, -1);
    return above.some((folder) => targets.includes(folder)) ? [] : above;
  });
  return [...new Set(parents)].sort().flatMap((folder) => ['--perms', '0755', '--dir', folder]);
}

function bindArguments(bind: BubblewrapBind & BoundPath): readonly string[] {
  const option = bind.access === 'write' ? '--bind' : '--ro-bind';
  return [option, `/proc/self/fd/${bind.descriptor}`, bind.target];
}

function namespaces({ user, network }: BubblewrapInput): readonly string[] {
  return [
    ...(user.droppedInside
      ? []
      : ['--unshare-user', '--uid', `${user.uid}`, '--gid', `${user.gid}`]),
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(network === 'unrestricted' ? [] : ['--unshare-net']),
    ...['--hostname', 'sandbox'],
  ];
}

/** What the launcher inside needs to become another user; it drops the rest itself. */
function privileges({ droppedInside }: SandboxUser): readonly string[] {
  const kept = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'];
  return ['--cap-drop', 'ALL', ...(droppedInside ? kept.flatMap((cap) => ['--cap-add', cap]) : [])];
}

function accountFiles(
  { uid, gid }: SandboxUser,
  home: string,
): readonly { path: string; text: string }[] {
  const nobody = 'nobody:x:65534:65534:nobody:/:/sbin/nologin\n';
  return [
    {
      path: '/etc/passwd',
      text: `tool:x:${uid}:${gid}:tool:${home}:/bin/sh\n${uid === 65534 ? '' : nobody}`,
    },
    { path: '/etc/group', text: `tool:x:${gid}:\n${gid === 65534 ? '' : 'nogroup:x:65534:\n'}` },
  ];
}

/** A tmpfs made by root belongs to root: the tool's own user needs everybody's right to write. */
function scratchMount({ scratch, user }: BubblewrapInput): readonly string[] {
  const mode = user.droppedInside ? '1777' : '0700';
  return ['--perms', mode, '--size', `${scratch.bytes}`, '--tmpfs', scratch.path];
}

/** Masks that show what is there, through a descriptor too: the tool may have swapped the path. */
function keptPath({ path, effect, exists }: Mask): readonly BoundPath[] {
  if (effect === 'pin') return [{ path, target: path, access: 'write' }];
  return effect === 'read-only' && exists ? [{ path, target: path, access: 'read' }] : [];
}

/** A device on a mount without devices cannot be opened, so `/dev/null` hides a file. */
function maskArguments(
  { path, kind }: Mask,
  kept: (BubblewrapBind & BoundPath) | undefined,
): readonly string[] {
  if (kept !== undefined) return bindArguments(kept);
  if (kind === 'file') return ['--ro-bind', '/dev/null', path];
  return ['--perms', '0555', '--size', '4096', '--tmpfs', path, '--remount-ro', path];
}

/** Links outside the bound folders; one inside a bound folder is there already. */
function linksOutside(
  view: FilesystemView,
  bound: readonly BoundPath[],
  scratch: string,
): readonly { readonly target: string; readonly source: string }[] {
  const taken = [...bound.map(({ target }) => target), ...OWN_MOUNTS, scratch];
  const names = new Set(view.links.map(({ path }) => path));
  const wanted = view.links.filter(
    ({ path }) =>
      !isWithinAny(path, taken) &&
      !taken.some((folder) => isWithin(folder, path)) &&
      !selfAndAncestors(dirname(path)).some((above) => names.has(above)),
  );
  const temporary = [...taken, ...names].some((path) => isWithin(path, '/tmp'))
    ? []
    : [{ path: '/tmp', target: scratch }];
  return [...wanted, ...temporary].map(({ path, target }) => ({ target: path, source: target }));
}
