import { EnforceError } from '../errors.ts';
import { mappedPathRows } from './call-identity-mounts.ts';
import { type LandlockRules, landlockRows } from './landlock.ts';
import {
  type LaunchArgument,
  type LaunchRow,
  littleEndian,
  REPORT_DESCRIPTOR,
  REPORT_RECORD_BYTES,
  TABLE_DESCRIPTOR,
} from './launch-table.ts';

/** Limits of one process; soft and hard alike, but for CPU time. The kernel refuses to raise a hard limit (EPERM). */
export interface LaunchResourceLimits {
  /** Open descriptors. */
  readonly nofile: number;
  /** Largest file. */
  readonly fsizeBytes: number;
  /** CPU time of each process: a backstop, not the limit of the call. */
  readonly cpuSeconds?: number;
  /** Processes and threads of the user, host-wide: only with a user of its own. */
  readonly nproc?: number;
  /**
   * 1 stops core files and piped cores; 0 only files, and is for a supervisor whose own hard limit
   * is 0, which it may not raise.
   */
  readonly core: 0 | 1;
}

/** Everything a launch does before the program starts. */
export interface LaunchTableInput {
  /** `cgroup.procs` (or v1 `tasks`) files to join, in order. */
  readonly cgroupProcsFiles: readonly string[];
  readonly rlimits: LaunchResourceLimits;
  /** The user to become, or null to stay who we are. Needs CAP_SETUID, CAP_SETGID, CAP_SETPCAP. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** What getppid must answer; null where the parent is in another pid namespace. */
  readonly parentPid: number | null;
  readonly landlock: LandlockRules | null;
  /** A classic BPF program, see `compileSeccomp`. */
  readonly seccomp: Uint8Array | null;
  /** The program is `argv[0]`, an absolute path. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /**
   * Descriptors from this one on do not reach the program, but for `paths`. 3 for a program without
   * frames; otherwise everything below it must be open in the launcher, or the launch is refused.
   */
  readonly closeFrom: number;
  /**
   * Paths to open without following a symlink and to keep open for the program, as descriptors
   * `closeFrom`, `closeFrom + 1` …: bind sources that cannot be swapped. Absent: none. `closeFrom`
   * must then be at least 6, or they would take the descriptors of the launcher itself.
   */
  readonly paths?: readonly string[];
  /**
   * Write paths by owner. The mapping of the first owner is open as the first descriptor from
   * `closeFrom` and 6 on, that of the second as the next, and so on. Absent: no mount namespace is made.
   */
  readonly owners?: readonly (readonly string[])[];
  /** For a bubblewrap that makes mounts as root; the launcher inside drops them then. */
  readonly keepCapabilities?: boolean;
  /** A second table follows on the same descriptor, for a launcher behind this one. */
  readonly tableFollows?: boolean;
}

const AT_FDCWD = -100;
const FRAMES_DESCRIPTOR = 3;
const O_CLOEXEC = 0x80000;
const O_WRONLY_CLOEXEC = 0x80001;
const O_PATH = 0x200000;
const RESOLVE_NO_SYMLINKS = 0x04;
const ALL_DESCRIPTORS = 0xffffffff;
const CLOSE_RANGE_CLOEXEC = 4;
const EINVAL = 22;
const SIGKILL = 9;
const RLIMIT = { cpu: 0, fsize: 1, core: 4, nproc: 6, nofile: 7 } as const;
const PR = { deathSignal: 1, dropBounding: 24, noNewPrivileges: 38, ambient: 47 } as const;
const AMBIENT_CLEAR_ALL = 4;
/** CAP_CHECKPOINT_RESTORE, the last capability of Linux 5.13, where Landlock begins. */
const CAPABILITY_LAST_CERTAIN = 40;
const CAPABILITY_LAST_POSSIBLE = 63;

/**
 * The rows of one launch, in the order that makes each hold: what needs privileges comes before they
 * are dropped, what needs files and descriptors before they are closed, the filter last.
 *
 * @throws {EnforceError} `ENF_CALL_ARGUMENT` for a program that is not an absolute path, an
 *   environment name that is empty or holds `=`, or `paths` below descriptor 6
 */
export function buildLaunchRows(input: LaunchTableInput): readonly LaunchRow[] {
  checkProgram(input);
  const firstClosed = Math.max(input.closeFrom, REPORT_DESCRIPTOR + 1);
  const paths = input.paths ?? [];
  const owners = input.owners ?? [];
  const behindOwners = firstClosed + owners.length;
  const mapped = owners.flatMap((owned, index) =>
    owned.map((path) => ({ path, mapping: firstClosed + index })),
  );
  const firstFree = firstClosed + paths.length;
  return [
    ...(input.tableFollows === true ? [] : [endOfTable()]),
    ...(input.closeFrom === FRAMES_DESCRIPTOR ? [occupyFrames()] : []),
    closeRange(behindOwners, 0, 'close the descriptors that are not ours'),
    ...mappedPathRows(mapped, behindOwners),
    ...paths.map((path, index) => openPath(path, firstClosed + index)),
    ...input.cgroupProcsFiles.flatMap((file) => joinCgroup(file, firstFree)),
    ...resourceLimitRows(input.rlimits),
    dieWithParent(),
    ...(input.identity === null ? [] : [...identityRows(input.identity), dieWithParent()]),
    ...(input.keepCapabilities === true ? [] : dropCapabilities()),
    ...(input.parentPid === null ? [] : [parentIs(input.parentPid)]),
    must('chdir', [{ text: input.cwd }], `change to \`${input.cwd}\``),
    must('prctl', [PR.noNewPrivileges, 1], 'set no_new_privs'),
    ...(input.landlock === null ? [] : landlockRows(input.landlock, firstFree)),
    ...hideDescriptors(input.closeFrom, firstClosed, paths.length),
    resourceLimit('nofile', input.rlimits.nofile),
    ...(input.seccomp === null ? [] : [seccompRow(input.seccomp)]),
    reportReached(),
    executeRow(input),
  ];
}

/**
 * The rows that kill every process of `uid`, however it was started. The launcher's effective user
 * is theirs, which is what kill(2) asks of the sender; its real and saved user is `killerUid`, which
 * nothing else may use: so that none of them can signal it first.
 */
export function buildKillRows(victim: {
  readonly uid: number;
  readonly gid: number;
  readonly killerUid: number;
}): readonly LaunchRow[] {
  const { uid, gid, killerUid } = victim;
  const ESRCH = 3;
  return [
    endOfTable(),
    must('setgroups', [0, 0], 'leave all groups'),
    must('setresgid', [gid, gid, gid], `become group ${gid}`),
    must('setresuid', [killerUid, uid, killerUid], `act as user ${uid}`),
    {
      ...must('kill', [-1, SIGKILL], `kill every process of user ${uid}`),
      mode: 'may-fail',
      errno: ESRCH,
    },
    must('exit_group', [0], 'exit'),
  ];
}

function must(call: string, args: readonly LaunchArgument[], purpose: string): LaunchRow {
  return { call, args, mode: 'must-succeed', purpose };
}

function mustEqual(
  value: number,
  call: string,
  args: readonly LaunchArgument[],
  purpose: string,
): LaunchRow {
  return { call, args, mode: 'must-equal', value, purpose };
}

function endOfTable(): LaunchRow {
  return mustEqual(0, 'read', [TABLE_DESCRIPTOR, { slot: 'rest' }, 1], 'see the end of the table');
}

/** Node opens nothing for `ignore` from index 3 on; what is opened later must not land there. */
function occupyFrames(): LaunchRow {
  const args = [TABLE_DESCRIPTOR, FRAMES_DESCRIPTOR, O_CLOEXEC];
  return mustEqual(FRAMES_DESCRIPTOR, 'dup3', args, 'occupy the descriptor of frames');
}

function closeRange(first: number, flags: number, purpose: string): LaunchRow {
  return must('close_range', [first, ALL_DESCRIPTORS, flags], purpose);
}

function openPath(path: string, descriptor: number): LaunchRow {
  const how = littleEndian([BigInt(O_PATH), 0n, BigInt(RESOLVE_NO_SYMLINKS)]);
  return mustEqual(
    descriptor,
    'openat2',
    [AT_FDCWD, { text: path }, { bytes: how }, how.length],
    `open \`${path}\` without following a symlink`,
  );
}

function joinCgroup(file: string, descriptor: number): readonly LaunchRow[] {
  const open = [AT_FDCWD, { text: file }, O_WRONLY_CLOEXEC];
  const self = [descriptor, { text: '0' }, 1];
  return [
    mustEqual(descriptor, 'openat', open, `open \`${file}\``),
    mustEqual(1, 'write', self, `join the cgroup through \`${file}\``),
    must('close', [descriptor], `close \`${file}\``),
  ];
}

function resourceLimitRows(limits: LaunchResourceLimits): readonly LaunchRow[] {
  return [
    ...(limits.cpuSeconds === undefined ? [] : [cpuLimit(limits.cpuSeconds)]),
    resourceLimit('fsize', limits.fsizeBytes),
    resourceLimit('core', limits.core),
    ...(limits.nproc === undefined ? [] : [resourceLimit('nproc', limits.nproc)]),
  ];
}

/** SIGXCPU at the soft limit says what ended the process; who traps it gets SIGKILL a second later. */
function cpuLimit(seconds: number): LaunchRow {
  return resourceLimit('cpu', seconds, seconds + 1);
}

function resourceLimit(name: keyof typeof RLIMIT, soft: number, hard: number = soft): LaunchRow {
  return must(
    'prlimit64',
    [0, RLIMIT[name], { bytes: littleEndian([BigInt(soft), BigInt(hard)]) }, 0],
    `set RLIMIT_${name.toUpperCase()} to ${soft}`,
  );
}

/** Cleared by a change of user, hence set again after it. */
function dieWithParent(): LaunchRow {
  return must('prctl', [PR.deathSignal, SIGKILL], 'ask to be killed with the supervisor');
}

function identityRows(identity: { readonly uid: number; readonly gid: number }) {
  const { uid, gid } = identity;
  return [
    ...Array.from({ length: CAPABILITY_LAST_POSSIBLE + 1 }, (_, capability) =>
      dropFromBounding(capability),
    ),
    must('setgroups', [0, 0], 'leave all groups'),
    must('setresgid', [gid, gid, gid], `become group ${gid}`),
    must('setresuid', [uid, uid, uid], `become user ${uid}`),
  ];
}

function dropFromBounding(capability: number): LaunchRow {
  const purpose = `drop capability ${capability} from the bounding set`;
  const row = must('prctl', [PR.dropBounding, capability], purpose);
  return capability <= CAPABILITY_LAST_CERTAIN ? row : { ...row, mode: 'may-fail', errno: EINVAL };
}

/** Ambient capabilities survive exec even with no_new_privs; a service manager may have set them. */
function dropCapabilities(): readonly LaunchRow[] {
  // struct __user_cap_header_struct: u32 version 3, s32 pid 0; then two sets of three u32.
  const header = littleEndian([0x20080522n]);
  return [
    must('prctl', [PR.ambient, AMBIENT_CLEAR_ALL], 'clear the ambient capabilities'),
    must('capset', [{ bytes: header }, { bytes: new Uint8Array(24) }], 'drop all capabilities'),
  ];
}

/** The supervisor may have died before we asked to die with it. */
function parentIs(parentPid: number): LaunchRow {
  return mustEqual(parentPid, 'getppid', [], `find the supervisor (pid ${parentPid}) alive`);
}

/** Close-on-exec for all but the program's own and the kept paths between `first` and `last`. */
function hideDescriptors(
  closeFrom: number,
  firstClosed: number,
  kept: number,
): readonly LaunchRow[] {
  const purpose = 'keep descriptors from the program';
  const from = kept === 0 ? closeFrom : firstClosed + kept;
  return [closeRange(from, CLOSE_RANGE_CLOEXEC, purpose)];
}

function seccompRow(filter: Uint8Array): LaunchRow {
  const setModeFilter = 1;
  return must('seccomp', [setModeFilter, 0, { filter }], 'apply the system call filter');
}

function reportReached(): LaunchRow {
  const record = [REPORT_DESCRIPTOR, { reached: true } as const, REPORT_RECORD_BYTES];
  return mustEqual(REPORT_RECORD_BYTES, 'write', record, 'report that the confinement is in force');
}

function executeRow({ argv, env }: LaunchTableInput): LaunchRow {
  const program = argv[0] ?? '';
  return must(
    'execve',
    [{ text: program }, { texts: argv }, { environment: env }],
    `execute \`${program}\``,
  );
}

function checkProgram({ argv, env, closeFrom, paths }: LaunchTableInput): void {
  const program = argv[0];
  if (program === undefined || !program.startsWith('/')) {
    throw badLaunch(`the program must be an absolute path, got \`${program}\``);
  }
  const name = Object.keys(env).find((key) => key === '' || key.includes('='));
  if (name !== undefined) {
    throw badLaunch(`an environment name must not be empty or hold \`=\`, got \`${name}\``);
  }
  if (paths !== undefined && paths.length > 0 && closeFrom <= REPORT_DESCRIPTOR) {
    throw badLaunch(`kept paths start at descriptor 6 or above, got ${closeFrom}`);
  }
}

function badLaunch(message: string): EnforceError {
  return new EnforceError('ENF_CALL_ARGUMENT', message);
}
