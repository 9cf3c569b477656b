import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Confinement } from '../call.ts';
import { isEnforceError } from '../errors.ts';
import { isReachableByOthers, isReadableByOthers } from './access-by-others.ts';
import { MountPoints } from './bubblewrap-mount-points.ts';
import { createCallCgroup } from './cgroup.ts';
import type { CallCgroup } from './cgroup-call.ts';
import { type DiskWatch, prepareDiskWatch } from './disk-watch.ts';
import {
  type EgressProxy,
  type EgressProxyOptions,
  type EgressRecord,
  startEgressProxy,
} from './egress-proxy.ts';
import { guardGroups } from './exit-guard.ts';
import type { ExplanationSection } from './explanation.ts';
import type { Shortfall } from './host-support-error.ts';
import { signalGroup } from './kill-tree.ts';
import { killUser } from './kill-user.ts';
import type { LinuxHost } from './linux-host.ts';
import { explainLinuxCall, type LinuxCall, planLinuxCall, sandboxChoice } from './linux-plan.ts';
import { PinnedPaths } from './pinned-paths.ts';
import { runInScratch } from './run-in-scratch.ts';
import { emptyReport, type Job, type RunEnd, type Runner, type RunReport } from './runner.ts';
import { RunningMasks } from './running-masks.ts';
import { superviseProcess } from './supervisor.ts';
import type { ResolvedTarget } from './tool-target.ts';
import { entryPath, nodePath } from './worker-program.ts';
import { openOwners, realPathsOf, writePathOwners } from './write-path-owners.ts';

const ENFORCES = [
  'environment',
  'filesystem',
  'network',
  'isolation.exec',
  'isolation.profile',
  'resource_limits.max_call_duration_seconds',
  'resource_limits.max_cpu_seconds',
  'resource_limits.max_memory_mb',
  'resource_limits.max_processes',
  'resource_limits.max_open_files',
  'resource_limits.max_file_size_mb',
  'resource_limits.max_disk_mb',
  'resource_limits.max_output_size_bytes',
];

/** How the egress proxy finds addresses, and which it never connects to. */
export type Resolution = Pick<EgressProxyOptions, 'resolve' | 'forbidden'>;

/**
 * Confines a call by the kernel before its program starts: the launcher sets limits, Landlock, a
 * system call filter and another user where it can (`hardened`), inside namespaces of its own made
 * by bubblewrap (`isolated`). A cgroup holds memory and processes exactly where there is one.
 */
export class LinuxRunner implements Runner {
  readonly tier: 'hardened' | 'isolated';
  readonly layers: readonly string[];
  readonly enforces: ReadonlySet<string>;
  readonly #host: LinuxHost;
  readonly #protectedPaths: readonly string[];
  readonly #resolution: Resolution;
  readonly #mountPoints: MountPoints = new MountPoints();
  readonly #runningMasks: RunningMasks = new RunningMasks();
  readonly #pinnedPaths: PinnedPaths = new PinnedPaths();
  readonly #live = new Set<number>();
  readonly #unguard: () => void = guardGroups(this.#live);

  /**
   * @param protectedPaths - trail, policies, keys, state: never readable for a tool
   * @param resolution - another resolver of names than the host's
   */
  constructor(
    tier: 'hardened' | 'isolated',
    host: LinuxHost,
    protectedPaths: readonly string[] = [],
    resolution: Resolution = {},
  ) {
    this.tier = tier;
    this.#resolution = resolution;
    this.#host = host;
    this.#protectedPaths = protectedPaths;
    this.layers = layersAlwaysThere(tier, host);
    this.enforces = new Set(ENFORCES);
  }

  unsuited(target: ResolvedTarget, confinement: Confinement): Shortfall | null {
    const { network, filesystem } = confinement;
    if (typeof network === 'object' && this.tier === 'hardened') return NO_DOMAINS;
    if (this.tier === 'isolated') return null;
    const { profile, exec } = sandboxChoice(target, confinement);
    const isSameUser = this.#host.identities === null;
    const closed = isSameUser
      ? undefined
      : codeOf(target).find((path) => !isReadableByOthers(path));
    if (closed !== undefined) return notReadable(closed);
    const far = isSameUser
      ? undefined
      : filesystem.write.find((path) => !isReachableByOthers(path));
    if (far !== undefined) return notReachable(far);
    if (profile === 'compat' && isSameUser) return NO_COMPAT;
    const isContained = !isSameUser || this.#host.cgroups.works || exec === 'none';
    return isContained ? null : NOT_CONTAINED;
  }

  explain(job: Job): readonly ExplanationSection[] {
    const uid = this.#host.identities?.take() ?? null;
    if (uid !== null) this.#host.identities?.release(uid);
    return explainLinuxCall({
      job,
      owners: uid === null ? [] : writePathOwners(job.confinement.filesystem.write),
      mappings: [],
      settleMasks: (masks) => masks,
      disk: null,
      tier: this.tier,
      host: this.#host,
      uid,
      cgroup: null,
      egress: null,
      scratch: join(tmpdir(), 'enforcecore-scratch'),
      protectedPaths: this.#protectedPaths,
      inherited: process.env,
    });
  }

  async run(job: Job): Promise<RunReport> {
    return runInScratch([], (scratch) => this.#runIn(scratch, job));
  }

  async #runIn(scratch: string, job: Job): Promise<RunReport> {
    const holdings = new Holdings();
    try {
      this.#pinnedPaths.check(job.confinement.filesystem);
      const acquired = await this.#acquire(job, scratch, holdings);
      const { uid, cgroup } = acquired;
      const plan = planLinuxCall({
        ...acquired,
        settleMasks: (masks) => this.#runningMasks.settled(masks),
        job,
        scratch,
        tier: this.tier,
        host: this.#host,
        protectedPaths: this.#protectedPaths,
        inherited: process.env,
      });
      const write = realPathsOf(job.confinement.filesystem.write);
      holdings.add(this.#runningMasks.hold({ write, masks: plan.masks }));
      holdings.add(this.#mountPoints.hold(plan.masks));
      const contain = (): Promise<void> => this.#contain(uid, cgroup);
      return await superviseProcess({ ...plan, contain }, job, this.#live);
    } catch (cause) {
      if (!isEnforceError(cause)) throw cause;
      return emptyReport(unavailable(cause.message));
    } finally {
      await holdings.release();
    }
  }

  /** The enforcer has stopped its calls before; nothing is left to wait for. */
  async close(): Promise<void> {
    for (const pid of this.#live) signalGroup(pid);
    this.#unguard();
  }

  async #acquire(job: Job, scratch: string, holdings: Holdings): Promise<Acquired> {
    const { cgroups, identities } = this.#host;
    const uid = identities?.take() ?? null;
    if (uid !== null) holdings.add(() => identities?.release(uid));
    const cgroup = cgroups.works ? await createCallCgroup(cgroups, job.confinement.limits) : null;
    if (cgroup !== null) holdings.add(() => cgroup.remove());
    const owners = uid === null ? [] : writePathOwners(job.confinement.filesystem.write);
    const open = await openOwners(this.#host.launcher, owners, uid ?? 0);
    holdings.add(open.close);
    const egress = await startEgress(job, scratch, this.#resolution);
    if (egress !== null) holdings.add(() => egress.close());
    // At `isolated` the folder stays the supervisor's: it holds the socket, and a tmpfs lies over it.
    if (uid !== null && this.tier === 'hardened') await chown(scratch, uid, uid);
    const disk = await this.#diskWatch(job, scratch);
    return { uid, cgroup, egress, owners, mappings: open.descriptors, disk };
  }

  /** At `isolated` the scratch is a file system of its own size. */
  async #diskWatch({ confinement }: Job, scratch: string): Promise<DiskWatch | null> {
    const bytesMax = confinement.limits.diskBytes;
    const paths = realPathsOf(confinement.filesystem.write);
    const unbounded = this.tier === 'hardened' ? scratch : null;
    if (!Number.isFinite(bytesMax) || (paths.length === 0 && unbounded === null)) return null;
    return prepareDiskWatch({ paths, scratch: unbounded, bytesMax });
  }

  /** Whatever the kill of the tree missed. A pid namespace has died as a whole by then. */
  async #contain(uid: number | null, cgroup: CallCgroup | null): Promise<void> {
    if (cgroup !== null) return cgroup.kill();
    const { identities, launcher } = this.#host;
    if (uid !== null && identities !== null) await killUser(launcher, identities, uid);
  }
}

interface Acquired extends Pick<LinuxCall, 'uid' | 'cgroup' | 'owners' | 'mappings' | 'disk'> {
  readonly egress: EgressProxy | null;
}

/** What one call holds, released in reverse; one that fails does not keep the others. */
class Holdings {
  readonly #releases: (() => void | Promise<void>)[] = [];

  add(release: () => void | Promise<void>): void {
    this.#releases.push(release);
  }

  async release(): Promise<void> {
    const failures: unknown[] = [];
    for (const release of this.#releases.splice(0).reverse()) {
      try {
        await release();
      } catch (cause) {
        failures.push(cause);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'a call left something behind');
  }
}

/** The only way out of a sandbox whose policy names domains. */
async function startEgress(
  job: Job,
  scratch: string,
  resolution: Resolution,
): Promise<EgressProxy | null> {
  const rules = job.confinement.network;
  if (typeof rules !== 'object') return null;
  const onRecord = (record: EgressRecord): void => job.onEgress?.(record);
  const socketPath = join(scratch, 'egress.sock');
  return startEgressProxy({ ...resolution, rules, socketPath, onRecord });
}

/** What the user of a call must be able to read before the tool's first line. */
function codeOf(target: ResolvedTarget): readonly string[] {
  if (target.kind === 'function') return [];
  const runtime = [nodePath(), entryPath('process-entry')];
  return target.kind === 'module' ? [target.module, ...runtime] : [target.identity.path];
}

function notReadable(path: string): Shortfall {
  return {
    cause: `a root supervisor runs each tool as a user of its own, which may not read \`${path}\``,
    remedy: 'install bubblewrap, or make the file and the folders above it readable for all',
  };
}

function notReachable(path: string): Shortfall {
  return {
    cause: `a root supervisor runs each tool as a user of its own, which may not enter the folders above \`${path}\``,
    remedy: 'install bubblewrap, or let others enter these folders (`chmod o+x`)',
  };
}

function layersAlwaysThere(tier: 'hardened' | 'isolated', host: LinuxHost): readonly string[] {
  return [
    ...['own-process', 'scrubbed-environment', 'wall-clock', 'output-cap'],
    ...['rlimits', 'no-new-privileges', 'landlock'],
    ...(host.identities === null ? [] : ['own-user']),
    ...host.cgroups.layers,
    ...(tier === 'isolated' ? ['pid-namespace', 'mount-namespace', 'ipc-namespace'] : []),
  ];
}

const NO_DOMAINS: Shortfall = {
  cause: 'connections to named domains only need a network namespace',
  remedy: 'install bubblewrap, or write `network: unrestricted`',
};
const NO_COMPAT: Shortfall = {
  cause: 'profile `compat` needs tier `isolated` or a user of its own',
  remedy: 'install bubblewrap, run as root, or set `isolation.profile: strict`',
};
const NOT_CONTAINED: Shortfall = {
  cause: 'processes that the tool starts could outlive the call',
  remedy: 'set `isolation.exec: none`, install bubblewrap, or delegate a control group',
};

function unavailable(message: string): RunEnd {
  return { status: 'isolation-unavailable', code: 'ENF_ISOLATION_UNAVAILABLE', message };
}
