import type { ReadOnlyFiles } from './filesystem-view-files.ts';
import type { Link } from './filesystem-view-modules.ts';
import { grantAround } from './filesystem-view-names.ts';

/** What the dynamic loader of Node and of native modules reads, and data that libraries expect. */
const LIBRARIES: readonly string[] = [
  ...['/lib', '/lib32', '/lib64', '/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libexec'],
  ...['/usr/local/lib', '/usr/local/lib64', '/usr/share/zoneinfo', '/usr/share/ca-certificates'],
];
/** What commands read besides. Not `/usr` as a whole: images keep applications in `/usr/src`. */
const PROGRAMS: readonly string[] = [
  ...['/bin', '/sbin', '/usr/bin', '/usr/sbin', '/usr/share', '/usr/include'],
  ...['/usr/local/bin', '/usr/local/sbin', '/usr/local/share', '/etc/alternatives'],
];
const CONFIGURATION: readonly string[] = [
  ...['/etc/ld.so.cache', '/etc/nsswitch.conf', '/etc/hosts', '/etc/host.conf'],
  ...['/etc/resolv.conf', '/etc/gai.conf', '/etc/services', '/etc/protocols', '/etc/localtime'],
  ...['/etc/mime.types', '/etc/ssl/openssl.cnf', '/etc/ssl/certs'],
  ...['/etc/pki/tls/openssl.cnf', '/etc/pki/tls/certs', '/etc/pki/ca-trust/extracted'],
  ...['/etc/crypto-policies/back-ends'],
];
/** Synthesised at `isolated`, where they name only the tool's own user. */
const ACCOUNTS: readonly string[] = ['/etc/passwd', '/etc/group'];
const DEVICES: readonly string[] = ['/dev/urandom', '/dev/random', '/dev/zero'];
/** Node reads these for `os.cpus()`, `os.freemem()` and its own memory limits. */
const KERNEL_FACTS: readonly string[] = [
  ...['/proc/self', '/proc/cpuinfo', '/proc/stat', '/proc/meminfo', '/proc/loadavg'],
  ...['/proc/uptime', '/proc/version', '/sys/devices/system/cpu'],
];

/** What every tool may read of the host. */
export interface SystemGrant {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly links: readonly Link[];
}

/**
 * Rule 3 of the default view: libraries, at `compat` and `off` also programs, named files of
 * `/etc`, harmless devices, and at `hardened` what the kernel says about the machine. At `isolated`
 * `/proc` is private and comes with the new root.
 *
 * @param withheld - real paths that are never granted: folders of the host are granted around them
 */
export function systemView(input: {
  readonly tier: 'hardened' | 'isolated';
  readonly profile: 'strict' | 'compat' | 'off';
  readonly withheld: readonly string[];
  readonly files: ReadOnlyFiles;
}): SystemGrant {
  const { tier, profile, withheld, files } = input;
  const named = [
    ...LIBRARIES,
    ...(profile === 'strict' ? [] : PROGRAMS),
    ...CONFIGURATION,
    ...(tier === 'hardened' ? ACCOUNTS : []),
  ];
  const read: string[] = [];
  const links: Link[] = [];
  for (const path of named) {
    const target = files.realPath(path);
    if (target === null) continue;
    if (target !== path) links.push({ path, target });
    read.push(...grantAround(target, withheld, files));
  }
  const devices = DEVICES.filter((path) => files.kind(path) !== null);
  // `/proc/self` stays as it is written: its real path would be the supervisor's.
  const facts = KERNEL_FACTS.filter((path) => files.kind(path) !== null);
  return {
    read: [...read, ...devices, ...(tier === 'hardened' ? facts : ['/proc'])],
    write: ['/dev/null'],
    links,
  };
}
