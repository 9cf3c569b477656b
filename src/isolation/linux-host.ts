import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { isEnforceError } from '../errors.ts';
import { CallIdentities, callIdRange, type IdTables, isKernelRoot } from './call-identity.ts';
import type { CgroupSupport } from './cgroup.ts';
import { probeCgroups } from './cgroup-probe.ts';
import { bubblewrapShortfall } from './host-support-bubblewrap.ts';
import type { Shortfall } from './host-support-error.ts';
import { sweepUsers } from './kill-user.ts';
import { landlockProbeRows, readLandlockProbe } from './landlock-probe.ts';
import { type Launcher, openLauncher } from './launcher.ts';
import { runLauncher } from './launcher-run.ts';
import { type OwnLimits, parseOwnLimits } from './own-limits.ts';

/** What this Linux host offers for confining calls, each found by trying it. */
export interface LinuxHost {
  readonly launcher: Launcher;
  /** At least 1: without Landlock there is no `hardened`. */
  readonly landlockAbi: number;
  readonly kernel: readonly [major: number, minor: number];
  readonly cgroups: CgroupSupport;
  /** Path of a bwrap that starts here, or why there is none. */
  readonly bubblewrap: string | Shortfall;
  /** Present where the supervisor is root: each call gets a user of its own. */
  readonly identities: CallIdentities | null;
  readonly ownLimits: OwnLimits;
}

const PROBE_MS_MAX = 5000;
/** Not looked up in PATH: what starts a sandbox must not depend on the environment. */
const BUBBLEWRAP_PATHS = [
  '/usr/bin/bwrap',
  '/usr/local/bin/bwrap',
  '/run/current-system/sw/bin/bwrap',
];

/**
 * Tries every layer once. Takes about 30 ms; the answers hold as long as the process lives.
 *
 * @returns the host, or why nothing can be confined here
 */
export async function probeLinuxHost(): Promise<LinuxHost | Shortfall> {
  if (process.platform !== 'linux') {
    const cause = `\`hardened\` and \`isolated\` need Linux, this is ${process.platform}`;
    return { cause, remedy: 'run the supervisor on Linux, in a virtual machine if need be' };
  }
  let launcher: Launcher;
  try {
    launcher = openLauncher();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'unknown error';
    return { cause: message, remedy: 'set TMPDIR to a folder that programs may run from' };
  }
  const landlockAbi = readLandlockProbe(await runLauncher(launcher, landlockProbeRows()));
  if (landlockAbi < 1) {
    launcher.close();
    const remedy = 'use Linux 5.13 or later, booted with `lsm=landlock,…`';
    return { cause: 'this kernel has no Landlock', remedy };
  }
  const identities = identitiesFor(process.getuid?.() ?? -1, idTables(), idFolder());
  if (identities !== null && 'cause' in identities) {
    launcher.close();
    return identities;
  }
  const [cgroups, bubblewrap] = await Promise.all([
    probeCgroups(),
    probeBubblewrap(identities !== null),
  ]);
  if (identities !== null) await sweepUsers(launcher, identities);
  const ownLimits = parseOwnLimits(readFileSync('/proc/self/limits', 'utf8'));
  const kernel = kernelVersion(release());
  return { launcher, landlockAbi, kernel, cgroups, bubblewrap, identities, ownLimits };
}

/** `6.1.0-56-cloud-amd64` → [6, 1]. */
export function kernelVersion(text: string): readonly [number, number] {
  const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor];
}

/** Which ids exist here, and what this process may do with them. */
export interface HostIdentity extends IdTables {
  /** Effective capabilities, one bit each. See capabilities(7). */
  readonly capabilities: bigint;
}

/**
 * The users that calls run as: one each where the supervisor is root, its own where it is not.
 *
 * @returns null for an ordinary user; why there is none for root: a tool never runs as root, not even
 *   without capabilities, because half the host belongs to it
 */
export function identitiesFor(
  uid: number,
  tables: HostIdentity,
  folder: string,
): CallIdentities | Shortfall | null {
  if (!isKernelRoot(uid, tables)) return null;
  const missing = NEEDED_OF_ROOT.filter(({ bit }) => (tables.capabilities & (1n << bit)) === 0n);
  if (missing.length > 0) return powerless(missing.map(({ name }) => name));
  const range = callIdRange(tables);
  if ('cause' in range) return range;
  try {
    return new CallIdentities(range, folder);
  } catch (cause) {
    if (!isEnforceError(cause)) throw cause;
    return { cause: cause.message, remedy: `remove \`${folder}\`` };
  }
}

/** What root needs to give a call a user of its own, and to end what that user runs. */
const NEEDED_OF_ROOT = [
  { name: 'CHOWN', bit: 0n },
  { name: 'KILL', bit: 5n },
  { name: 'SETGID', bit: 6n },
  { name: 'SETUID', bit: 7n },
  { name: 'SETPCAP', bit: 8n },
] as const;

function powerless(names: readonly string[]): Shortfall {
  return {
    cause: `the supervisor is root without the capabilities ${names.join(', ')}, so it cannot give a tool a user of its own`,
    remedy: 'grant them, or run the supervisor as an ordinary user',
  };
}

/** `CapEff` of `/proc/self/status`. */
function ownCapabilities(): bigint {
  const [, hex = '0'] =
    /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return BigInt(`0x${hex}`);
}

function idTables(): HostIdentity {
  return {
    capabilities: ownCapabilities(),
    uidMap: readFileSync('/proc/self/uid_map', 'utf8'),
    gidMap: readFileSync('/proc/self/gid_map', 'utf8'),
    subuid: textOf('/etc/subuid'),
    subgid: textOf('/etc/subgid'),
    kernelUid: statSync('/proc/sys/kernel', { throwIfNoEntry: false })?.uid ?? null,
  };
}

/** `/run` is root's alone and forgets at boot; a container may not have it writable. */
function idFolder(): string {
  const parent = ['/run', tmpdir()].find(isWritable) ?? tmpdir();
  return join(parent, 'enforcecore-ids');
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw cause;
  }
}

/** Starts a namespace of every kind that a call will have. */
async function probeBubblewrap(isRoot: boolean): Promise<string | Shortfall> {
  const namespaces = ['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts'];
  const words = [
    ...(isRoot ? [] : ['--unshare-user']),
    ...namespaces,
    ...['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--', '/proc/self/exe'],
    '--version',
  ];
  const program = BUBBLEWRAP_PATHS.find((path) => existsSync(path));
  if (program === undefined) {
    return { cause: 'bubblewrap is not installed', remedy: 'install the package `bubblewrap`' };
  }
  const run = await execa(program, words, {
    reject: false,
    timeout: PROBE_MS_MAX,
    stdin: 'ignore',
    env: {},
    extendEnv: false,
    killSignal: 'SIGKILL',
  });
  if (!run.failed) return program;
  return bubblewrapShortfall(run.stderr);
}
