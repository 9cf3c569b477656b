import { chown } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Confinement } from '../call.ts';
import { isReachableByOthers, isReadableByOthers } from './access-by-others.ts';
import { MountPoints } from './bubblewrap-mount-points.ts';
import { createCallCgroup } from './cgroup.ts';
import type { CallCgroup } from './cgroup-call.ts';
import { type DiskWatch, prepareDiskWatch } from './disk-watch.ts';
import type { EgressGateOptions, EgressRecord, Resolution } from './egress-gate.ts';
import type { EgressProxy } from './egress-proxy.ts';
import type { ExplanationSection } from './explanation.ts';
import { ViewCache } from './filesystem-view-cache.ts';
import type { Holdings } from './holdings.ts';
import type { Shortfall } from './host-support-error.ts';
import { killUser } from './kill-user.ts';
import type { LinuxHost } from './linux-host.ts';
import { explainLinuxCall, type LinuxCall, planLinuxCall, sandboxChoice } from './linux-plan.ts';
import { PinnedPaths } from './pinned-paths.ts';
import type { Job, Runner, RunReport, WorkerSpec } from './runner.ts';
import { RunningMasks } from './running-masks.ts';
import { FilterCache } from './seccomp-cache.ts';
import type { ResolvedTarget } from './tool-target.ts';
import type { WorkerPool } from './worker-pool.ts';
import { entryPath, nodePath } from './worker-program.ts';
import type { Furnish, Furnishing, WorkerSeat } from './worker-seat.ts';
import { WorkerSeats } from './worker-seats.ts';
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
  readonly #views: ViewCache = new ViewCache();
  readonly #filters: FilterCache = new FilterCache();
  readonly #seats: WorkerSeats;

  /**
   * @param protectedPaths - trail, policies, keys, state: never readable for a tool
   * @param resolution - another resolver of names than the host's
   * @param pool - where prepared workers lie ready; null: every call starts its own
   */
  constructor(
    tier: 'hardened' | 'isolated',
    host: LinuxHost,
    protectedPaths: readonly string[] = [],
    resolution: Resolution = {},
    pool: WorkerPool<WorkerSeat> | null = null,
  ) {
    this.tier = tier;
    this.#resolution = resolution;
    this.#host = host;
    this.#protectedPaths = protectedPaths;
    this.layers = layersAlwaysThere(tier, host);
    const furnish: Furnish = (...place) => this.#furnish(...place);
    this.#seats = new WorkerSeats({ tier, layers: [], furnish, pool });
    this.enforces = new Set(ENFORCES);
  }

  unsuited(target: ResolvedTarget, confinement: Confinement): Shortfall | null {
    const { network, filesystem } = confinement;
    const isBrokered = typeof network === 'object' && this.tier === 'hardened';
    if (isBrokered && target.kind !== 'module') return NO_DOMAINS;
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
      resolution: this.#resolution,
      scratch: join(tmpdir(), 'enforcecore-scratch'),
      protectedPaths: this.#protectedPaths,
      views: this.#views,
      filters: this.#filters,
      inherited: process.env,
    });
  }

  async run(job: Job): Promise<RunReport> {
    return this.#seats.run(job);
  }

  async close(): Promise<void> {
    return this.#seats.close();
  }

  async #furnish(spec: WorkerSpec, scratch: string, holdings: Holdings): Promise<Furnishing> {
    const { filesystem } = spec.confinement;
    this.#pinnedPaths.check(filesystem);
    const { attend, ...acquired } = await this.#acquire(spec, scratch, holdings);
    const { uid, cgroup, egress, disk } = acquired;
    // What lies in them is counted before the call, and others may write there while a worker waits.
    const countsWritePaths = disk !== null && filesystem.write.length > 0;
    const plan = planLinuxCall({
      ...acquired,
      resolution: this.#resolution,
      settleMasks: (masks) => this.#runningMasks.settled(masks),
      job: spec,
      scratch,
      tier: this.tier,
      host: this.#host,
      protectedPaths: this.#protectedPaths,
      views: this.#views,
      filters: this.#filters,
      inherited: spec.inherited ?? process.env,
    });
    // INVARIANT: in the turn in which the plan was made.
    const write = realPathsOf(filesystem.write);
    holdings.add(this.#runningMasks.hold({ write, masks: plan.masks }));
    holdings.add(this.#mountPoints.hold(plan.masks));
    const addresses = ownAddresses(spec);
    const contain = (): Promise<void> => this.#contain(uid, cgroup);
    return {
      plan: {
        ...plan,
        contain,
        ...(cgroup === null
          ? {}
          : { isContained: true, countProcesses: () => cgroup.countProcesses() }),
      },
      attend,
      isCurrent: () =>
        plan.isCurrent() &&
        addresses === ownAddresses(spec) &&
        this.#pinnedPaths.swappedIn(filesystem) === null,
      mayWait: plan.masks.every(({ exists }) => exists) && !countsWritePaths,
      // What one call left connected would be the next one's.
      mayServeAgain: egress === null && this.#showsWhatIsLeft(spec, cgroup),
    };
  }

  /**
   * Whether a process or connection that one call leaves behind would be seen before the next. A
   * daemon leaves the tree of a `hardened` worker, and is then only found in its control group.
   */
  #showsWhatIsLeft({ target, confinement }: WorkerSpec, cgroup: CallCgroup | null): boolean {
    const canStart = sandboxChoice(target, confinement).exec !== 'none';
    return this.tier === 'isolated' || cgroup !== null || !canStart;
  }

  async #acquire(spec: WorkerSpec, scratch: string, holdings: Holdings): Promise<Acquired> {
    const { cgroups, identities } = this.#host;
    const uid = identities?.take() ?? null;
    if (uid !== null) holdings.add(() => identities?.release(uid));
    const cgroup = cgroups.works ? await createCallCgroup(cgroups, spec.confinement.limits) : null;
    if (cgroup !== null) holdings.addLate(() => cgroup.remove());
    const owners = uid === null ? [] : writePathOwners(spec.confinement.filesystem.write);
    const open = await openOwners(this.#host.launcher, owners, uid ?? 0);
    holdings.add(open.close);
    const ear = new EgressEar();
    const way = { ...this.#resolution, onRecord: ear.onRecord };
    const egress = this.tier === 'isolated' ? await startEgress(spec, scratch, way) : null;
    if (egress !== null) holdings.add(() => egress.close());
    // At `isolated` the folder stays the supervisor's: it holds the socket, and a tmpfs lies over it.
    if (uid !== null && this.tier === 'hardened') await chown(scratch, uid, uid);
    const disk = await this.#diskWatch(spec, scratch);
    return { uid, cgroup, egress, owners, mappings: open.descriptors, disk, attend: ear.attend };
  }

  /** At `isolated` the scratch is a file system of its own size. */
  async #diskWatch({ confinement }: WorkerSpec, scratch: string): Promise<DiskWatch | null> {
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
  readonly attend: (job: Pick<Job, 'onEgress'>) => void;
}

/** Passes the connections of a worker to the call it serves. */
class EgressEar {
  #job: Pick<Job, 'onEgress'> | null = null;

  readonly attend = (job: Pick<Job, 'onEgress'>): void => {
    this.#job = job;
  };

  readonly onRecord = (record: EgressRecord): void => {
    // No tool is loaded yet: whoever connects is not ours. The throw closes the way out.
    if (this.#job === null) throw new Error('a worker connected before it had a call');
    this.#job.onEgress?.(record);
  };
}

/** The only way out of a sandbox whose policy names domains. */
async function startEgress(
  { confinement }: WorkerSpec,
  scratch: string,
  options: Resolution & Pick<EgressGateOptions, 'onRecord'>,
): Promise<EgressProxy | null> {
  const rules = confinement.network;
  if (typeof rules !== 'object') return null;
  // Its library is a tenth of what a command line loads, and few policies name domains.
  const { startEgressProxy } = await import('./egress-proxy.ts');
  return startEgressProxy({ ...options, rules, socketPath: join(scratch, 'egress.sock') });
}

/** The proxy of a worker never connects to addresses that were this host's when it was started. */
function ownAddresses({ confinement }: WorkerSpec): string {
  if (typeof confinement.network !== 'object') return '';
  return JSON.stringify(Object.values(networkInterfaces()));
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
  cause: 'a command needs a network namespace to reach named domains and no others',
  remedy:
    'install bubblewrap, make the tool a module that uses `fetch`, or write `network: unrestricted`',
};
const NO_COMPAT: Shortfall = {
  cause: 'profile `compat` needs tier `isolated` or a user of its own',
  remedy: 'install bubblewrap, run as root, or set `isolation.profile: strict`',
};
const NOT_CONTAINED: Shortfall = {
  cause: 'processes that the tool starts could outlive the call',
  remedy: 'set `isolation.exec: none`, install bubblewrap, or delegate a control group',
};
