import { describe, expect, test } from 'vitest';
import {
  type BuiltinProfile,
  checkProfileFits,
  loadBuiltinProfile,
} from '../../src/isolation/seccomp-builtin.ts';
import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import {
  buildSeccompFilter,
  denyRules,
  type SeccompSituation,
} from '../../src/isolation/seccomp-rules.ts';
import { isSyscallName, syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { AUDIT_ARCH, runBpf } from './bpf-interpreter.ts';

const SITUATION: SeccompSituation = {
  architecture: 'x64',
  kernel: [6, 1],
  tier: 'hardened',
  exec: 'any',
  sameUid: true,
  landlockAbi: 7,
  selfPid: 4242,
  network: 'none',
  sessions: 'allowed',
};
const ISOLATED = { tier: 'isolated' } as const;
const OTHER_USER = { sameUid: false } as const;
const OLD_LANDLOCK = { landlockAbi: 1 } as const;

const ALLOW = 'allow';
const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;
const HIGH = 1n << 32n;

type Answer = number | typeof ALLOW | 'kill';

function answer(
  profile: BuiltinProfile,
  changes: Partial<SeccompSituation>,
  call: string,
  args: readonly (number | bigint)[],
): Answer {
  const filter = buildSeccompFilter(loadBuiltinProfile(profile), { ...SITUATION, ...changes });
  const value = runBpf(compileSeccomp(filter), {
    number: syscallsOf('x64').get(call) ?? Number(call),
    auditArchitecture: AUDIT_ARCH.x64,
    args: Array.from({ length: 6 }, (_, index) => BigInt.asUintN(64, BigInt(args[index] ?? 0))),
  });
  if (value === 0x7fff0000) return ALLOW;
  return value >>> 16 === 5 ? value & 0xffff : 'kill';
}

type Row = readonly [call: string, args: readonly (number | bigint)[], wanted: Answer];

/** In every profile at every tier. */
const ALWAYS: readonly Row[] = [
  ['clone3', [0, 88], ENOSYS],
  ['openat2', [-100], ENOSYS],
  ['fchmodat2', [-100], ENOSYS],
  ['io_uring_setup', [1], ENOSYS],
  ['io_uring_enter', [3], ENOSYS],
  ['io_uring_register', [3], ENOSYS],
  ['471000', [], ENOSYS], // no such call
  ['999', [], ENOSYS],
  ['520', [], ENOSYS], // execve of the x32 numbers, without their bit
  ['clone', [0x10000000 | 17], EPERM], // CLONE_NEWUSER
  ['clone', [0x20000000 | 17], EPERM],
  ['clone', [0x00020000 | 17], EPERM],
  ['clone', [HIGH | 0x10000000n], EPERM],
  ['clone', [0x8000 | 17], EPERM], // CLONE_PARENT
  ['clone', [0x8000 | 0x10000], EPERM],
  ['unshare', [0x10000000], EPERM],
  ['unshare', [0x80], EPERM], // CLONE_NEWTIME
  ['setns', [3], EPERM],
  ['chmod', [0, 0o4755], EPERM],
  ['chmod', [0, 0o2755], EPERM],
  ['chmod', [0, HIGH | 0o4000n], EPERM],
  ['fchmod', [3, 0o6755], EPERM],
  ['fchmodat', [-100, 0, 0o4755], EPERM],
  ['creat', [0, 0o4755], EPERM],
  ['mkdir', [0, 0o2755], EPERM],
  ['mkdirat', [-100, 0, 0o2755], EPERM],
  ['mknod', [0, 0o104755], EPERM],
  ['mknodat', [-100, 0, 0o104755], EPERM],
  ['open', [0, 0o101, 0o4755], EPERM], // O_CREAT | O_WRONLY
  ['openat', [-100, 0, 0o101, 0o4755], EPERM],
  ['openat', [-100, 0, 0o20200002, 0o4755], EPERM], // O_TMPFILE | O_RDWR
  ['ioctl', [0, 0x5412], EPERM], // TIOCSTI
  ['ioctl', [0, HIGH | 0x5412n], EPERM], // CVE-2019-10063
  ['ioctl', [0, 0x541c], EPERM], // TIOCLINUX
  ['keyctl', [0], EPERM],
  ['add_key', [], EPERM],
  ['request_key', [], EPERM],
  ['socket', [17, 3, 0x300], EAFNOSUPPORT], // AF_PACKET
  ['socket', [40, 1, 0], EAFNOSUPPORT], // AF_VSOCK
  ['socket', [38, 5, 0], EAFNOSUPPORT], // AF_ALG
  ['socket', [0xffffffff, 1], EAFNOSUPPORT],
  ['socketpair', [2, 1], EPERM],
  ['socketpair', [1, 2], EPERM], // AF_UNIX, SOCK_DGRAM
  ['socketpair', [1, 3], EPERM],
  ['socketpair', [1, 2 | 0o2000000], EPERM], // SOCK_CLOEXEC
  ['socketpair', [1, HIGH | 2n], EPERM],
  ['socketpair', [1, 1 | 0o2000000], ALLOW],
  ['socketpair', [1, 5], ALLOW],
  ['openat', [-100, 0, 0, 0o4755], ALLOW], // without O_CREAT the mode is not looked at
  ['openat', [-100, 0, 0o101, 0o644], ALLOW],
  ['read', [0], ALLOW],
  ['execve', [], ALLOW],
  ['exit_group', [], ALLOW],
];

/** At `hardened`, in every profile. */
const HARDENED: readonly Row[] = [
  ['prlimit64', [1234, 7], EPERM],
  ['prlimit64', [0, 7], ALLOW],
  ['prlimit64', [HIGH, 7], ALLOW], // the kernel sees pid 0
  ['prlimit64', [HIGH | 1234n, 7], EPERM],
  ['setpriority', [0, 1234], EPERM],
  ['setpriority', [2, 0], EPERM], // PRIO_USER, 0: all processes of the user
  ['setpriority', [1, 0], EPERM],
  ['setpriority', [0, 0], ALLOW],
  ['sched_setaffinity', [1234], EPERM],
  ['sched_setaffinity', [0], ALLOW],
  ['ptrace', [16, 1234], EPERM],
  ['kcmp', [1, 2], EPERM],
  ['process_vm_writev', [1234], EPERM],
  ['process_vm_readv', [1234], EPERM],
  ['process_madvise', [3], EPERM],
  ['process_mrelease', [3], EPERM],
  ['pidfd_open', [1234], EPERM],
  ['pidfd_open', [4242], EPERM],
  ['pidfd_getfd', [3], EPERM],
  ['pidfd_send_signal', [3], EPERM],
  ['move_pages', [1234], EPERM],
  ['migrate_pages', [1234], EPERM],
  ['shmget', [0], EPERM],
  ['semget', [0], EPERM],
  ['msgget', [0], EPERM],
  ['shmat', [0], EPERM],
  ['mq_open', [0], EPERM],
  ['prctl', [1, 0], EPERM], // PR_SET_PDEATHSIG
  ['prctl', [HIGH | 1n, 0], EPERM],
  ['prctl', [15, 0], ALLOW],
  ['fcntl', [3, 8, 1234], EPERM], // F_SETOWN
  ['fcntl', [3, 10, 9], EPERM], // F_SETSIG
  ['fcntl', [3, 15], EPERM], // F_SETOWN_EX
  ['fcntl', [3, 1024], EPERM], // F_SETLEASE
  ['fcntl', [3, 1026], EPERM], // F_NOTIFY
  ['fcntl', [3, 3], ALLOW],
  ['ioctl', [3, 0x8901], EPERM], // FIOSETOWN
  ['ioctl', [3, 0x8902], EPERM], // SIOCSPGRP
  ['ioctl', [3, 0x5421], ALLOW], // FIONBIO
];

/** At `hardened` with the supervisor’s own user. */
const METADATA: readonly Row[] = [
  ['chmod', [0, 0o644], EPERM],
  ['fchmodat', [-100, 0, 0o644], EPERM],
  ['chown', [0, 1, 1], EPERM],
  ['lchown', [0, 1, 1], EPERM],
  ['fchownat', [-100, 0, 1, 1], EPERM],
  ['fchown', [3, 1, 1], EPERM],
  ['utime', [1], EPERM],
  ['utimes', [1], EPERM],
  ['futimesat', [-100, 1], EPERM],
  ['utimensat', [-100, 0x7fff_0000_0000n], EPERM],
  ['utimensat', [3, HIGH], EPERM], // a pointer whose low half is zero is still a path
  ['utimensat', [3, 0], ALLOW],
  ['setxattr', [1], EPERM],
  ['lsetxattr', [1], EPERM],
  ['fsetxattr', [3], EPERM],
  ['removexattr', [1], EPERM],
  ['setxattrat', [-100], EPERM],
  ['file_setattr', [-100], EPERM],
  ['inotify_add_watch', [3], EPERM],
  ['fanotify_mark', [3], EPERM],
  ['fchmod', [3, 0o644], ALLOW],
  ['fchmod', [3, 0o775], ALLOW],
  ['fchmod', [3, 0o646], EPERM],
  ['fchmod', [3, 0o777], EPERM],
  ['fchmod', [3, 0], EPERM],
  ['fchmod', [3, 0o200], EPERM],
];

/** Likewise, where Landlock lacks a part. */
const OLD: readonly Row[] = [
  ['truncate', [1], EPERM],
  ['openat', [-100, 1, 0o1000], EPERM], // O_RDONLY | O_TRUNC
  ['open', [1, 0o1000 | 0o2000000], EPERM],
  ['openat', [-100, 1, 0o1001], ALLOW], // O_WRONLY needs the right to write
  ['openat', [-100, 1, 0], ALLOW],
  ['ftruncate', [3], ALLOW],
  ['kill', [1, 9], EPERM],
  ['kill', [-1, 9], EPERM],
  ['kill', [0, 9], EPERM],
  ['kill', [-4242, 9], EPERM],
  ['kill', [4242, 9], ALLOW],
  ['kill', [HIGH | 4242n, 9], ALLOW], // the kernel sees the own pid
  ['tgkill', [4243, 4243, 9], EPERM],
  ['tgkill', [4242, 4250, 9], ALLOW],
  ['tkill', [4243, 9], EPERM],
  ['rt_sigqueueinfo', [4243, 9], EPERM],
  ['rt_tgsigqueueinfo', [4243, 4243, 9], EPERM],
];

const label = ([call, args, wanted]: Row) => `${call}(${args.join(', ')}) is ${wanted}`;
const named = (rows: readonly Row[]) => rows.map((row) => ({ row, name: label(row) }));

describe.each(['strict', 'compat', 'off'] as const)('in profile %s', (profile) => {
  /** `off` has no list, so only the rules speak; a list may be stricter than the rules, never looser. */
  const same = (wanted: Answer) =>
    profile === 'off'
      ? wanted
      : expect.toSatisfy(
          (actual: Answer) => actual === wanted || (actual === EPERM && wanted !== ENOSYS),
        );

  test.each(named(ALWAYS))('at every tier: $name', ({ row: [call, args, wanted] }) => {
    for (const changes of [ISOLATED, OTHER_USER, { tier: 'hardened' } as const]) {
      expect(answer(profile, changes, call, args)).toEqual(same(wanted));
    }
  });

  test.each(named(HARDENED))('at hardened: $name', ({ row: [call, args, wanted] }) => {
    expect(answer(profile, {}, call, args)).toEqual(same(wanted));
    expect(answer(profile, OTHER_USER, call, args)).toEqual(same(wanted));
  });

  test.each(named(METADATA))('with the own user: $name', ({ row: [call, args, wanted] }) => {
    expect(answer(profile, {}, call, args)).toEqual(same(wanted));
  });

  test.each(named(OLD))('with an old Landlock: $name', ({ row: [call, args, wanted] }) => {
    expect(answer(profile, OLD_LANDLOCK, call, args)).toEqual(same(wanted));
  });
});

describe('what a rule is for, and only that, is denied', () => {
  test.each(
    [...HARDENED.filter(([call]) => !call.startsWith('mq')), ...METADATA].map((row) => ({
      row,
      name: label(row),
    })),
  )('at isolated: $name is allowed by `off`', ({ row }) => {
    expect(answer('off', ISOLATED, row[0], row[1])).toBe(ALLOW);
  });

  test.each(named(METADATA))('with another user: $name is allowed by `off`', ({ row }) => {
    expect(answer('off', OTHER_USER, row[0], row[1])).toBe(ALLOW);
  });

  test.each(named(OLD))('with a new Landlock: $name is allowed by `off`', ({ row }) => {
    const [call, args] = row;
    expect(answer('off', { landlockAbi: 6 }, call, args)).toBe(ALLOW);
  });
});

describe('sockets', () => {
  const families = { unix: 1, inet: 2, inet6: 10, netlink: 16 };
  test.each<[Partial<SeccompSituation>, readonly (keyof typeof families)[]]>([
    [{ network: 'none' }, []],
    [{ network: 'domains' }, []], // brokered: the supervisor connects
    [{ network: 'unrestricted' }, ['inet', 'inet6', 'netlink']],
    [{ tier: 'isolated', network: 'none' }, ['netlink']],
    [{ tier: 'isolated', network: 'domains' }, ['unix', 'inet', 'inet6', 'netlink']],
    [{ tier: 'isolated', network: 'unrestricted' }, ['inet', 'inet6', 'netlink']],
  ])('of %o are %o', (changes, allowed) => {
    for (const profile of ['strict', 'compat', 'off'] as const) {
      for (const [name, family] of Object.entries(families)) {
        const wanted = (allowed as readonly string[]).includes(name) ? ALLOW : EAFNOSUPPORT;
        expect([name, answer(profile, changes, 'socket', [family, 3, 0])]).toEqual([name, wanted]);
      }
    }
  });

  test('of the routing tables only', () => {
    const network = { network: 'unrestricted' } as const;
    expect(answer('off', network, 'socket', [16, 3, 0])).toBe(ALLOW);
    expect(answer('off', network, 'socket', [16, 3, 9])).toBe(EPROTONOSUPPORT); // NETLINK_AUDIT
  });
});

describe('exec: none', () => {
  const none = { exec: 'none' } as const;
  const thread = 0x3d0f00;

  test.each(['strict', 'compat', 'off'] as const)(
    'makes threads but no process (%s)',
    (profile) => {
      expect(answer(profile, none, 'clone', [thread])).toBe(ALLOW);
      expect(answer(profile, none, 'clone', [17])).toBe(EPERM);
      expect(answer(profile, none, 'clone', [0x4111])).toBe(EPERM); // CLONE_VFORK | CLONE_VM
      expect(answer(profile, none, 'fork', [])).toBe(EPERM);
      expect(answer(profile, none, 'vfork', [])).toBe(EPERM);
      expect(answer(profile, {}, 'clone', [17])).toBe(ALLOW);
    },
  );
});

test('sessions are denied only where a group kill is all there is', () => {
  for (const call of ['setsid', 'setpgid']) {
    expect(answer('off', { sessions: 'denied' }, call, [])).toBe(EPERM);
    expect(answer('off', {}, call, [])).toBe(ALLOW);
  }
});

test('a filter against signals needs the pid of the tool', () => {
  const situation = { ...SITUATION, ...OLD_LANDLOCK, selfPid: null };
  expect(() => denyRules(situation)).toThrow(
    expect.objectContaining({ code: 'ENF_ISOLATION_UNAVAILABLE' }),
  );
  expect(() => denyRules({ ...situation, sameUid: false })).not.toThrow();
});

test('every rule names calls that exist and says why', () => {
  const rules = denyRules({ ...SITUATION, ...OLD_LANDLOCK, exec: 'none', sessions: 'denied' });
  for (const rule of rules) {
    expect(rule.calls.filter((call) => !isSyscallName(call))).toEqual([]);
    expect(rule.reason).not.toBe('');
  }
});

test('the profiles have no warnings and say what they are for', () => {
  for (const name of ['strict', 'compat', 'off'] as const) {
    const profile = loadBuiltinProfile(name);
    expect(profile.warnings).toEqual([]);
    expect(profile.description).not.toBe('');
  }
});

describe('compat', () => {
  test('is refused with the own user and nothing but Landlock', () => {
    expect(() => checkProfileFits('compat', SITUATION)).toThrow(
      expect.objectContaining({ code: 'ENF_ISOLATION_UNAVAILABLE' }),
    );
  });

  test('fits another user, and the tier `isolated`', () => {
    expect(() => checkProfileFits('compat', { ...SITUATION, ...OTHER_USER })).not.toThrow();
    expect(() => checkProfileFits('compat', { ...SITUATION, ...ISOLATED })).not.toThrow();
    expect(() => checkProfileFits('strict', SITUATION)).not.toThrow();
  });

  test.each([
    'mount',
    'bpf',
    'userfaultfd',
    'kexec_load',
    'init_module',
    'open_by_handle_at',
    'ptrace',
    'pivot_root',
    'quotactl',
    'reboot',
    'syslog',
    'swapon',
    'settimeofday',
    'iopl',
    'add_key',
  ])('does not allow %s', (call) => expect(answer('compat', ISOLATED, call, [])).toBe(EPERM));
});
