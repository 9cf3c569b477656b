import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import { parseSeccompProfile, profileClauses } from '../../src/isolation/seccomp-profile.ts';
import type { Architecture } from '../../src/isolation/seccomp-syscalls.ts';

/** Flags of `clone` that make a namespace, one rule each: the format has no "any of these bits". */
const NAMESPACE_FLAGS = [
  ...[0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000],
  ...[0x1000_0000, 0x2000_0000, 0x4000_0000],
];
const EPERM = 1;
const ENOSYS = 38;

/** What a container without extra capabilities may not call, as container runtimes have it. */
const DENIED = [
  ...['acct', 'add_key', 'bpf', 'clock_adjtime', 'clock_settime', 'delete_module', 'fanotify_init'],
  ...['finit_module', 'fsconfig', 'fsmount', 'fsopen', 'fspick', 'get_mempolicy', 'init_module'],
  ...['io_uring_enter', 'io_uring_register', 'io_uring_setup', 'ioperm', 'iopl', 'kcmp'],
  ...['kexec_file_load', 'kexec_load', 'keyctl', 'mbind', 'mount', 'mount_setattr', 'move_mount'],
  ...['move_pages', 'nfsservctl', 'open_by_handle_at', 'open_tree', 'perf_event_open'],
  ...['pidfd_getfd', 'pivot_root', 'process_madvise', 'quotactl', 'reboot', 'request_key'],
  ...['set_mempolicy', 'setdomainname', 'sethostname', 'setns', 'settimeofday', 'swapoff'],
  ...['swapon', 'syslog', 'umount2', 'unshare', 'userfaultfd', 'vhangup'],
];

/**
 * The filter that a supervisor in an ordinary container runs under: no namespaces, no mounts.
 *
 * @param alsoMissing - calls that this kernel is made not to have
 */
export function dockerLikeFilter(
  architecture: Architecture,
  kernel: readonly [number, number],
  alsoMissing: readonly string[] = [],
): Uint8Array {
  const errno = (names: readonly string[], errnoRet: number, args?: object) => ({
    names,
    action: 'SCMP_ACT_ERRNO',
    errnoRet,
    ...(args === undefined ? {} : { args: [args] }),
  });
  const profile = parseSeccompProfile({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      errno(DENIED, EPERM),
      errno(['clone3', ...alsoMissing], ENOSYS),
      ...NAMESPACE_FLAGS.map((flag) =>
        errno(['clone'], EPERM, {
          index: 0,
          value: flag,
          valueTwo: flag,
          op: 'SCMP_CMP_MASKED_EQ',
        }),
      ),
    ],
  });
  return compileSeccomp({
    architecture,
    syscalls: profileClauses(profile, architecture, kernel),
    defaultAction: { do: 'allow' },
    unknownAction: { do: 'errno', errno: ENOSYS },
  });
}
