import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import type { Shortfall } from './host-support-error.ts';
import { landlockGaps } from './landlock-rights.ts';
import type { LaunchArgument, LaunchRow } from './launch-table.ts';
import { buildLaunchRows } from './launch-table-rows.ts';
import { decodeLaunchReport } from './launcher-report.ts';
import { runLauncher } from './launcher-run.ts';
import type { LinuxHost } from './linux-host.ts';
import { loadBuiltinProfile } from './seccomp-builtin.ts';
import { compileSeccomp } from './seccomp-compile.ts';
import { buildSeccompFilter } from './seccomp-rules.ts';
import { probeMappedOwners } from './write-path-probe.ts';

/** What one layer does on this host, or why not and what to do. */
export interface LayerSupport {
  readonly layer: string;
  readonly works: boolean;
  /** What kind or version, where it works; what is not as good as it could be. */
  readonly detail?: string;
  readonly cause?: string;
  readonly remedy?: string;
}

const REAP_MS_MAX = 1000;

/**
 * Tries each layer of isolation and says what came of it. Takes about 100 ms.
 *
 * @param host - what `probeLinuxHost` found, or why nothing works
 */
export async function probeLayers(host: LinuxHost | Shortfall): Promise<readonly LayerSupport[]> {
  if ('cause' in host) return [{ layer: 'launcher', works: false, ...host }];
  const { launcher, identities } = host;
  const [confinement, reaping, ...owners] = await Promise.all([
    probeConfinement(host),
    probeReaping(),
    ...(identities === null ? [] : [probeMappedOwners(launcher, identities)]),
  ]);
  return [
    { layer: 'launcher', works: true, detail: host.launcher.architecture },
    landlock(host.landlockAbi),
    confinement,
    ownUser(host),
    ...owners,
    bubblewrap(host.bubblewrap),
    ...cgroupLayers(host.cgroups),
    reaping,
  ];
}

function landlock(abi: number): LayerSupport {
  const gaps = landlockGaps(abi);
  const detail = gaps.length === 0 ? `ABI ${abi}` : `ABI ${abi}: ${gaps.join(', ')}`;
  return { layer: 'landlock', works: true, detail };
}

function ownUser({ identities }: LinuxHost): LayerSupport {
  if (identities !== null)
    return { layer: 'own-user', works: true, detail: 'one user id per call' };
  return {
    layer: 'own-user',
    works: false,
    cause:
      'the supervisor is an ordinary user: tools run as that user, confined by the other layers',
    remedy: 'nothing to do; a supervisor that runs as root gives each call a user of its own',
  };
}

function bubblewrap(found: string | Shortfall): LayerSupport {
  const layer = 'bubblewrap';
  return typeof found === 'string'
    ? { layer, works: true, detail: found }
    : { layer, works: false, ...found };
}

const CGROUP_LAYERS = ['cgroup-memory', 'cgroup-pids', 'cgroup-cpu', 'cgroup-kill'];

function cgroupLayers({ works, layers, shortfall, hierarchies }: LinuxHost['cgroups']) {
  const version = hierarchies.some((tree) => tree.version === 1) ? 'v1' : 'v2';
  return CGROUP_LAYERS.map((layer): LayerSupport => {
    if (works && layers.includes(layer)) return { layer, works: true, detail: version };
    return { layer, works: false, ...(shortfall ?? NOT_DELEGATED) };
  });
}

const NOT_DELEGATED: Shortfall = {
  cause: 'the controller is not delegated to this user',
  remedy: 'set `Delegate=cpu memory pids` for `user@.service` with `systemctl edit`',
};

/**
 * A process confined as a tool is, without the tool: it tries to read, connect, signal and start
 * another process, and is refused each time.
 */
async function probeConfinement(host: LinuxHost): Promise<LayerSupport> {
  const rows = canaryRows(host);
  const { exitCode, signal, report } = await runLauncher(host.launcher, rows);
  const layer = 'confinement';
  if (exitCode === 0)
    return { layer, works: true, detail: 'a confined process was refused all it tried' };
  const outcome = decodeLaunchReport(report, [rows]);
  const cause =
    outcome.state === 'executed' ? `it ended with ${signal ?? exitCode}` : outcome.cause;
  return {
    layer,
    works: false,
    cause: `a confined process was not held: ${cause}`,
    remedy: 'report this with the version of the kernel; use another host until then',
  };
}

const EPERM = 1;
const EACCES = 13;
const EAFNOSUPPORT = 97;
const AT_FDCWD = -100;
const SIGCHLD = 17;

/** A launch up to the program, which the attempts and an exit take the place of. */
export function canaryRows(host: LinuxHost): readonly LaunchRow[] {
  const { launcher, landlockAbi, kernel } = host;
  const isOrdinary = host.identities === null;
  const filter = buildSeccompFilter(loadBuiltinProfile('strict'), {
    architecture: launcher.architecture,
    kernel,
    tier: 'hardened',
    exec: 'none',
    sameUid: isOrdinary,
    landlockAbi,
    // Not the launcher's: it signals its parent, and that is to be refused.
    selfPid: 1,
    network: 'none',
    sessions: 'allowed',
  });
  const launch = buildLaunchRows({
    cgroupProcsFiles: [],
    rlimits: { nofile: 16, fsizeBytes: 0, core: 0 },
    identity: null,
    parentPid: process.pid,
    landlock: {
      abi: landlockAbi,
      read: [],
      write: [],
      execute: [],
      unixSockets: [],
      ownProc: false,
      denyTcpAndUdp: true,
    },
    seccomp: compileSeccomp(filter),
    argv: ['/'],
    env: {},
    cwd: '/',
    closeFrom: 3,
  });
  return [
    ...launch.slice(0, -2),
    refused('openat', [AT_FDCWD, { text: '/proc/self/status' }, 0], EACCES, 'reading a file'),
    refused('socket', [2, 1, 0], EAFNOSUPPORT, 'opening a connection'),
    refused('kill', [process.pid, 0], EPERM, 'signalling the supervisor'),
    refused('clone', [SIGCHLD, 0, 0, 0, 0], EPERM, 'starting a process'),
    { call: 'exit_group', args: [0], mode: 'must-succeed', purpose: 'exit' },
  ];
}

function refused(
  call: string,
  args: readonly LaunchArgument[],
  errno: number,
  what: string,
): LaunchRow {
  return { call, args, mode: 'must-equal', value: -errno, purpose: `see ${what} refused` };
}

/**
 * Whether orphans disappear when they end. Where pid 1 does not collect them, as a program that was
 * not made for it does not, what a killed tool leaves behind keeps its number until the host ends.
 */
async function probeReaping(): Promise<LayerSupport> {
  const layer = 'reaping';
  const { stdout } = await execa('sh', ['-c', 'true & echo $!'], { reject: false, timeout: 5000 });
  for (let waitMs = 1; waitMs < REAP_MS_MAX; waitMs *= 2) {
    if (!isThere(stdout)) return { layer, works: true };
    await pause(waitMs);
  }
  return {
    layer,
    works: false,
    cause:
      'process 1 does not collect orphans: killed daemons stay as zombies and count as processes',
    remedy: 'start the container with `--init`, or use tier `isolated`',
  };
}

function isThere(pid: string): boolean {
  try {
    readFileSync(`/proc/${pid}/stat`);
    return true;
  } catch {
    // It is gone, which is the answer.
    return false;
  }
}
