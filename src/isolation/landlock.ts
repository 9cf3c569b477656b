// Landlock restricts a process and everything it starts, without privileges. It is applied by the
// launcher, before exec: it is per thread, and Node starts with 7 to 11 of them.

import {
  EXECUTE,
  FILE_RIGHTS,
  type FsRight,
  READ,
  rightsMask,
  rulesetAttribute,
  WRITE,
} from './landlock-rights.ts';
import type { LaunchRow } from './launch-table.ts';
import { littleEndian } from './launch-table.ts';

/** What one tool may do with files, as absolute real paths. Everything else is denied. */
export interface LandlockRules {
  /** ABI of the running kernel, at least 1; see `readLandlockProbe`. */
  readonly abi: number;
  /** Files and folders (with everything below) that may be read. */
  readonly read: readonly string[];
  /** Files and folders that may be read, written, and where entries may be made and removed. */
  readonly write: readonly string[];
  /** Programs, or folders of programs, that may be read and executed. */
  readonly execute: readonly string[];
  /** Sockets of others that may be connected to by path. Only kernels from ABI 9 on ask. */
  readonly unixSockets: readonly string[];
  /**
   * Grants reading some files of `/proc/self`, resolved after the change of user, so that the worker
   * can check its own status and measure itself. Children of the worker get nothing. Where the kernel
   * drops the folder from its cache, later reads are EACCES. Not inside a pid namespace of our own.
   */
  readonly ownProc: boolean;
  /** False where something narrower than the kernel's port rules decides about the network. */
  readonly denyTcpAndUdp: boolean;
}

/**
 * The rows that confine the launcher to `rules`; no_new_privs must be set before them.
 *
 * Every path is opened again without following a symlink in any component, so that a folder that
 * became a symlink since the policy was loaded refuses the launch. A rule with rights that only
 * folders have is EINVAL for a file; whether a path is one is thus asked of the kernel, at launch.
 *
 * @param firstFree - the lowest descriptor that is not open; this one and the next are used
 * @see landlock(7), openat2(2); RESOLVE_NO_SYMLINKS
 */
export function landlockRows(rules: LandlockRules, firstFree: number): readonly LaunchRow[] {
  const ruleset = firstFree;
  const path = firstFree + 1;
  const attribute = rulesetAttribute(rules.abi, { network: rules.denyTcpAndUdp });
  return [
    {
      call: 'landlock_create_ruleset',
      args: [{ bytes: attribute }, attribute.length, 0],
      mode: 'must-equal',
      value: ruleset,
      purpose: `make a Landlock ruleset (ABI ${rules.abi})`,
    },
    ...grants(rules).flatMap((grant) => grantRows(grant, { ruleset, path, abi: rules.abi })),
    ...(rules.ownProc ? ownProcRows({ ruleset, path, abi: rules.abi }) : []),
    {
      call: 'landlock_restrict_self',
      args: [ruleset, 0],
      mode: 'must-succeed',
      purpose: 'apply the Landlock ruleset',
    },
  ];
}

interface Grant {
  readonly path: string;
  readonly rights: ReadonlySet<FsRight>;
}

interface GrantPlace {
  readonly ruleset: number;
  readonly path: number;
  readonly abi: number;
}

/** One grant per path, with the union of what the three lists say of it. */
function grants(rules: LandlockRules): readonly Grant[] {
  const rightsByPath = new Map<string, Set<FsRight>>();
  const lists = [
    [rules.read, READ],
    [rules.write, WRITE],
    [rules.execute, EXECUTE],
    [rules.abi < 9 ? [] : rules.unixSockets, ['resolve-unix']],
  ] as const;
  for (const [paths, rights] of lists) {
    for (const path of paths) {
      rightsByPath.set(path, new Set([...(rightsByPath.get(path) ?? []), ...rights]));
    }
  }
  return [...rightsByPath].map(([path, rights]) => ({ path, rights }));
}

function grantRows(grant: Grant, place: GrantPlace): readonly LaunchRow[] {
  const O_PATH = 0x200000;
  const O_CLOEXEC = 0x80000;
  const RESOLVE_NO_SYMLINKS = 0x04;
  const how = littleEndian([BigInt(O_PATH | O_CLOEXEC), 0n, BigInt(RESOLVE_NO_SYMLINKS)]);
  const open: LaunchRow = {
    call: 'openat2',
    args: [AT_FDCWD, { text: grant.path }, { bytes: how }, how.length],
    mode: 'must-equal',
    value: place.path,
    purpose: `open \`${grant.path}\` without following a symlink`,
  };
  return [open, ...ruleRows(grant, place)];
}

/**
 * Not the whole folder: `/proc/self/net` tells every connection of the host, `mountinfo` its mounts.
 */
const OWN_PROC_FILES = ['status', 'stat', 'statm', 'maps', 'cgroup', 'limits', 'comm', 'cmdline'];

/** Of the launcher itself: the pid, and so the folder, survives exec. A symlink, hence openat. */
function ownProcRows(place: GrantPlace): readonly LaunchRow[] {
  const O_PATH_CLOEXEC = 0x280000;
  return OWN_PROC_FILES.flatMap((name) => {
    const path = `/proc/self/${name}`;
    const open: LaunchRow = {
      call: 'openat',
      args: [AT_FDCWD, { text: path }, O_PATH_CLOEXEC],
      mode: 'must-equal',
      value: place.path,
      purpose: `open \`${path}\``,
    };
    return [open, ...ruleRows({ path, rights: new Set(READ) }, place)];
  });
}

const AT_FDCWD = -100;
const EINVAL = 22;

function ruleRows(grant: Grant, place: GrantPlace): readonly LaunchRow[] {
  const forFiles = FILE_RIGHTS.filter((right) => grant.rights.has(right));
  const purpose = `grant ${describe(grant.rights)} \`${grant.path}\``;
  return [
    addRule(forFiles, place, { mode: 'must-succeed', purpose }),
    addRule([...grant.rights], place, {
      mode: 'may-fail',
      errno: EINVAL,
      purpose: `${purpose}, if it is a folder`,
    }),
    {
      call: 'close',
      args: [place.path],
      mode: 'must-succeed',
      purpose: `close \`${grant.path}\``,
    },
  ];
}

type RuleExpectation =
  | { readonly mode: 'must-succeed'; readonly purpose: string }
  | { readonly mode: 'may-fail'; readonly errno: number; readonly purpose: string };

function addRule(
  rights: readonly FsRight[],
  place: GrantPlace,
  expectation: RuleExpectation,
): LaunchRow {
  const pathBeneath = 1;
  // struct landlock_path_beneath_attr, packed: u64 allowed_access, s32 parent_fd.
  const rule = littleEndian([rightsMask(rights, place.abi), BigInt(place.path)]);
  return {
    call: 'landlock_add_rule',
    args: [place.ruleset, pathBeneath, { bytes: rule }, 0],
    ...expectation,
  };
}

function describe(rights: ReadonlySet<FsRight>): string {
  if (rights.has('resolve-unix')) return 'connect to';
  if (rights.has('write-file')) return rights.has('execute') ? 'write and execute' : 'write';
  return rights.has('execute') ? 'execute' : 'read';
}
