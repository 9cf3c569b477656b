// What is denied besides the profile. A profile says which system calls a program of some kind needs;
// these rules say what no tool may do with them, whatever its profile. They only deny: none of them
// can loosen a profile. Most were attacks that worked once.

import { IsolationUnavailableError } from '../errors.ts';
import {
  ALL_BITS,
  type ArgumentTest,
  type Comparison,
  LOW_BITS,
  type SeccompClause,
  type SeccompFilter,
} from './seccomp-filter.ts';
import { profileClauses, type SeccompProfile } from './seccomp-profile.ts';
import { type Architecture, syscallsOf } from './seccomp-syscalls.ts';

/** Everything about a launch that the rules depend on. */
export interface SeccompSituation {
  readonly architecture: Architecture;
  /** `[major, minor]` of the running kernel. */
  readonly kernel: readonly [major: number, minor: number];
  readonly tier: 'hardened' | 'isolated';
  /** `none`: the tool may not start a process. Foreign code can always be mapped; this is not that. */
  readonly exec: 'none' | 'any';
  /** The tool runs as the supervisor's own user. */
  readonly sameUid: boolean;
  /** Below 6 Landlock does not stop signals, below 3 not truncation. */
  readonly landlockAbi: number;
  /** Pid of the tool as it sees itself; only used, and then needed, where signals must be denied. */
  readonly selfPid: number | null;
  readonly network: 'none' | 'domains' | 'unrestricted';
  /** `denied` where only a kill of the process group ends the call: setsid and setpgid are refused. */
  readonly sessions: 'allowed' | 'denied';
}

/** Calls that are denied when every test holds; `reason` is shown by `explain`. */
export interface DenyRule {
  readonly calls: readonly string[];
  readonly tests: readonly ArgumentTest[];
  readonly errno: number;
  readonly reason: string;
}

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;

/**
 * The filter of one launch: the rules of the situation before the clauses of the profile. Numbers
 * that no table has are answered as by a kernel that does not have them.
 *
 * @throws {IsolationUnavailableError} when signals must be denied and `selfPid` is missing
 * @throws {PolicyError} when the profile is not for this architecture or contradicts itself
 */
export function buildSeccompFilter(
  profile: SeccompProfile,
  situation: SeccompSituation,
): SeccompFilter {
  const { architecture, kernel } = situation;
  const numbers = syscallsOf(architecture);
  const syscalls = new Map<number, SeccompClause[]>();
  const add = (number: number, clauses: readonly SeccompClause[]) =>
    syscalls.set(number, [...(syscalls.get(number) ?? []), ...clauses]);
  for (const rule of denyRules(situation)) {
    for (const name of rule.calls) {
      const number = numbers.get(name);
      if (number === undefined) continue;
      add(number, [{ tests: rule.tests, action: { do: 'errno', errno: rule.errno } }]);
    }
  }
  for (const [number, clauses] of profileClauses(profile, architecture, kernel)) {
    add(number, clauses);
  }
  return {
    architecture,
    syscalls,
    defaultAction: profile.defaultAction,
    unknownAction: { do: 'errno', errno: ENOSYS },
  };
}

/** The rules that hold in a situation, for the filter and for `explain`. */
export function denyRules(situation: SeccompSituation): readonly DenyRule[] {
  const hardened = situation.tier === 'hardened';
  const shared = hardened && situation.sameUid;
  return [
    ...UNINSPECTABLE,
    ...NAMESPACES,
    ...SET_ID,
    ...TERMINAL,
    ...KEYRINGS,
    ...socketRules(situation),
    ...(situation.exec === 'none' ? NO_NEW_PROCESS : []),
    ...(situation.sessions === 'denied' ? NO_NEW_SESSION : []),
    ...(hardened ? [...OTHER_PROCESSES, ...IPC, ...OWN_DEATH, ...ASYNC_OWNER] : []),
    ...(shared ? METADATA : []),
    ...(shared && situation.landlockAbi < 3 ? TRUNCATION : []),
    ...(shared && situation.landlockAbi < 6 ? signalRules(situation.selfPid) : []),
  ];
}

/** Tests on the low 32 bits, which is what the kernel takes of an int. */
function int(index: number, comparison: Comparison, value: number): ArgumentTest {
  return { index, comparison, value: BigInt(value >>> 0), mask: LOW_BITS };
}

function anyBit(index: number, bits: number): ArgumentTest {
  return { index, comparison: 'ne', value: 0n, mask: BigInt(bits >>> 0) };
}

function noBit(index: number, bits: number): ArgumentTest {
  return { index, comparison: 'eq', value: 0n, mask: BigInt(bits >>> 0) };
}

function deny(
  reason: string,
  calls: readonly string[],
  tests: readonly ArgumentTest[] = [],
  errno = EPERM,
): DenyRule {
  return { calls, tests, errno, reason };
}

/** One rule per value: a call is denied when the argument is any of them. */
function denyValues(reason: string, call: string, index: number, values: readonly number[]) {
  return values.map((value) => deny(reason, [call], [int(index, 'eq', value)]));
}

const UNINSPECTABLE: readonly DenyRule[] = [
  deny(
    'flags or mode are behind a pointer, out of reach of a filter; programs fall back',
    ['clone3', 'openat2', 'fchmodat2', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'],
    [],
    ENOSYS,
  ),
];

const CLONE_NEW_ANY = 0x7e02_0000;
const CLONE_NEWTIME = 0x80;
const CLONE_PARENT = 0x8000;
const CLONE_THREAD = 0x1_0000;
const NAMESPACES: readonly DenyRule[] = [
  deny('a new namespace gives capabilities over it', ['clone'], [anyBit(0, CLONE_NEW_ANY)]),
  deny(
    'a new namespace gives capabilities over it',
    ['unshare'],
    [anyBit(0, CLONE_NEW_ANY | CLONE_NEWTIME)],
  ),
  deny('joining a namespace leaves ours', ['setns']),
  deny('the process would be a child of the supervisor', ['clone'], [anyBit(0, CLONE_PARENT)]),
];

const SET_ID_BITS = 0o6000;
/** O_CREAT, and what O_TMPFILE has besides O_DIRECTORY; without either, open ignores the mode. */
const CREATES = 0o100 | 0o20000000;
const LEAVES_SET_ID = 'a set-id file would outlive the call';
const SET_ID: readonly DenyRule[] = [
  deny(LEAVES_SET_ID, ['chmod', 'fchmod', 'creat', 'mkdir', 'mknod'], [anyBit(1, SET_ID_BITS)]),
  deny(LEAVES_SET_ID, ['fchmodat', 'mkdirat', 'mknodat'], [anyBit(2, SET_ID_BITS)]),
  deny(LEAVES_SET_ID, ['open'], [anyBit(1, CREATES), anyBit(2, SET_ID_BITS)]),
  deny(LEAVES_SET_ID, ['openat'], [anyBit(2, CREATES), anyBit(3, SET_ID_BITS)]),
];

const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const TERMINAL = denyValues('types into the terminal of others', 'ioctl', 1, [TIOCSTI, TIOCLINUX]);

const KEYRINGS: readonly DenyRule[] = [
  deny('keyrings are shared with the supervisor and outlive the call', [
    'add_key',
    'request_key',
    'keyctl',
  ]),
];

const NO_NEW_PROCESS: readonly DenyRule[] = [
  deny('`exec: none`: no new process', ['fork', 'vfork']),
  deny('`exec: none`: no new process', ['clone'], [noBit(0, CLONE_THREAD)]),
];

const NO_NEW_SESSION: readonly DenyRule[] = [
  deny('would leave the process group that is killed', ['setsid', 'setpgid']),
];

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
const SOCK_TYPE_MASK = 0xfn;

/** `socket` by family; a socket that exists, or was inherited, is not looked at again. */
function socketRules(situation: SeccompSituation): readonly DenyRule[] {
  const families = socketFamilies(situation);
  const type = (value: number): ArgumentTest => ({
    index: 1,
    comparison: 'ne',
    value: BigInt(value),
    mask: SOCK_TYPE_MASK,
  });
  return [
    deny(
      'not a socket family of `network`',
      ['socket'],
      families.map((family) => int(0, 'ne', family)),
      EAFNOSUPPORT,
    ),
    deny(
      'only the routing tables may be asked',
      ['socket'],
      [int(0, 'eq', AF_NETLINK), int(2, 'ne', NETLINK_ROUTE)],
      EPROTONOSUPPORT,
    ),
    deny('only pairs of unix sockets', ['socketpair'], [int(0, 'ne', AF_UNIX)]),
    deny(
      'a datagram pair could send to any path socket',
      ['socketpair'],
      [type(SOCK_STREAM), type(SOCK_SEQPACKET)],
    ),
  ];
}

/** At `hardened` a request to an allowed domain is made by the supervisor, so no socket is needed. */
function socketFamilies({ tier, network }: SeccompSituation): readonly number[] {
  if (network === 'unrestricted') return [AF_INET, AF_INET6, AF_NETLINK];
  if (tier === 'hardened') return [];
  return network === 'none' ? [AF_NETLINK] : [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
}

const CONTROLS_OTHERS = 'controls another process';
const PRIO_PROCESS = 0;
const IOPRIO_WHO_PROCESS = 1;
const OTHER_PROCESSES: readonly DenyRule[] = [
  deny(
    CONTROLS_OTHERS,
    [
      'prlimit64',
      'sched_setaffinity',
      'sched_setattr',
      'sched_setparam',
      'sched_setscheduler',
      'migrate_pages',
      'move_pages',
      'get_robust_list',
    ],
    [int(0, 'ne', 0)],
  ),
  // 0 is the caller, but for PRIO_USER it is every process of the user.
  deny(CONTROLS_OTHERS, ['setpriority'], [int(0, 'ne', PRIO_PROCESS)]),
  deny(CONTROLS_OTHERS, ['ioprio_set'], [int(0, 'ne', IOPRIO_WHO_PROCESS)]),
  deny(CONTROLS_OTHERS, ['setpriority', 'ioprio_set'], [int(1, 'ne', 0)]),
  deny(CONTROLS_OTHERS, [
    'ptrace',
    'kcmp',
    'perf_event_open',
    'process_madvise',
    'process_mrelease',
    'process_vm_readv',
    'process_vm_writev',
    'pidfd_open',
    'pidfd_getfd',
    'pidfd_send_signal',
  ]),
];

const IPC: readonly DenyRule[] = [
  deny('System V and POSIX IPC is shared with the host and outlives the call', [
    'shmget',
    'shmat',
    'shmctl',
    'shmdt',
    'semget',
    'semop',
    'semtimedop',
    'semctl',
    'msgget',
    'msgsnd',
    'msgrcv',
    'msgctl',
    'mq_open',
    'mq_unlink',
    'mq_timedsend',
    'mq_timedreceive',
    'mq_notify',
    'mq_getsetattr',
  ]),
];

const PR_SET_PDEATHSIG = 1;
const OWN_DEATH = denyValues('would survive its supervisor', 'prctl', 0, [PR_SET_PDEATHSIG]);

const F_SETOWN = 8;
const F_SETSIG = 10;
const F_SETOWN_EX = 15;
const F_SETLEASE = 1024;
const F_NOTIFY = 1026;
const FIOSETOWN = 0x8901;
const SIOCSPGRP = 0x8902;
const ASYNC_OWNER: readonly DenyRule[] = [
  ...denyValues('sends signals to others, or makes them wait', 'fcntl', 1, [
    F_SETOWN,
    F_SETSIG,
    F_SETOWN_EX,
    F_SETLEASE,
    F_NOTIFY,
  ]),
  ...denyValues('sends signals to others', 'ioctl', 1, [FIOSETOWN, SIOCSPGRP]),
];

const FS_IOC_SETFLAGS = 0x4008_6602;
const FS_IOC_FSSETXATTR = 0x401c_5820;
const OTHER_WRITE = 0o002;
const OWNER_READ = 0o400;
const NOT_COVERED = 'Landlock does not cover the metadata of files, and they are the supervisor’s';
const METADATA: readonly DenyRule[] = [
  deny(NOT_COVERED, [
    'chmod',
    'fchmodat',
    'chown',
    'lchown',
    'fchown',
    'fchownat',
    'utime',
    'utimes',
    'futimesat',
    'setxattr',
    'lsetxattr',
    'fsetxattr',
    'setxattrat',
    'removexattr',
    'lremovexattr',
    'fremovexattr',
    'removexattrat',
    'file_setattr',
    'inotify_add_watch',
    'fanotify_mark',
  ]),
  // With a null path it is futimens, on a descriptor that Landlock allowed to be opened.
  deny(NOT_COVERED, ['utimensat'], [{ index: 1, comparison: 'ne', value: 0n, mask: ALL_BITS }]),
  // fchmod is part of copying a file. A file that may only be read must stay as safe as it was.
  deny(NOT_COVERED, ['fchmod'], [anyBit(1, OTHER_WRITE)]),
  deny(NOT_COVERED, ['fchmod'], [noBit(1, OWNER_READ)]),
  ...denyValues(NOT_COVERED, 'ioctl', 1, [FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR]),
];

const O_ACCMODE = 0o3;
const O_TRUNC = 0o1000;
const TRUNCATES = 'Landlock below ABI 3 does not cover truncation';
const TRUNCATION: readonly DenyRule[] = [
  deny(TRUNCATES, ['truncate']),
  deny(TRUNCATES, ['open'], [truncatesReadOnly(1)]),
  deny(TRUNCATES, ['openat'], [truncatesReadOnly(2)]),
];

/** Opened for reading and truncated: the kernel asks for the right to write only of the file's mode. */
function truncatesReadOnly(index: number): ArgumentTest {
  return {
    index,
    comparison: 'eq',
    value: BigInt(O_TRUNC),
    mask: BigInt(O_TRUNC | O_ACCMODE),
  };
}

/** A process may signal itself; -1, 0 and groups may reach the supervisor. */
function signalRules(selfPid: number | null): readonly DenyRule[] {
  if (selfPid === null) {
    throw new IsolationUnavailableError(
      'ENF_ISOLATION_UNAVAILABLE',
      'this kernel lets a tool signal its supervisor (Landlock ABI below 6), and the filter against it needs the pid of the tool',
    );
  }
  return [
    deny(
      'Landlock below ABI 6 does not stop signals',
      ['kill', 'tkill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'],
      [int(0, 'ne', selfPid)],
    ),
  ];
}
