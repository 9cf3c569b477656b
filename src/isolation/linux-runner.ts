import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Confinement } from '../call.ts';
import { isEnforceError } from '../errors.ts';
import { isReadableByOthers } from './access-by-others.ts';
import { MountPoints } from './bubblewrap-mount-points.ts';
import { createCallCgroup } from './cgroup.ts';
import type { CallCgroup } from './cgroup-call.ts';
import type { EgressRecord, Resolution } from './egress-gate.ts';
import { type EgressProxy, startEgressProxy } from './egress-proxy.ts';
import { guardGroups } from './exit-guard.ts';
import type { ExplanationSection } from './explanation.ts';
import type { Shortfall } from './host-support-error.ts';
import { signalGroup } from './kill-tree.ts';
import { killUser } from './kill-user.ts';
import type { LinuxHost } from './linux-host.ts';
import { explainLinuxCall, planLinuxCall, sandboxChoice } from './linux-plan.ts';
import { runInScratch } from './run-in-scratch.ts';
import { emptyReport, type Job, type RunEnd, type Runner, type RunReport } from './runner.ts';
import { superviseProcess } from './supervisor.ts';
import type { ResolvedTarget } from './tool-target.ts';
import { entryPath, nodePath } from './worker-program.ts';

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
    this.enforces = new Set([
      ...ENFORCES,
      ...(tier === 'isolated' ? ['resource_limits.max_disk_mb'] : []),
    ]);
  }

  unsuited(target: ResolvedTarget, confinement: Confinement): Shortfall | null {
    const { network, filesystem } = confinement;
    const isBrokered = typeof network === 'object' && this.tier === 'hardened';
    if (isBrokered && target.kind !== 'module') return NO_DOMAINS;
    if (this.#host.identities !== null && filesystem.write.length > 0) return NO_WRITE_AS_ROOT;
    const isQuotaAsked = confinement.explicit.has('resource_limits.max_disk_mb');
    if (isQuotaAsked && filesystem.write.length > 0) return NO_QUOTA;
    if (this.tier === 'isolated') return null;
    const { profile, exec } = sandboxChoice(target, confinement);
    const isSameUser = this.#host.identities === null;
    const closed = isSameUser
      ? undefined
      : codeOf(target).find((path) => !isReadableByOthers(path));
    if (closed !== undefined) return notReadable(closed);
    if (profile === 'compat' && isSameUser) return NO_COMPAT;
    const isContained = !isSameUser || this.#host.cgroups.works || exec === 'none';
    return isContained ? null : NOT_CONTAINED;
  }

  explain(job: Job): readonly ExplanationSection[] {
    const uid = this.#host.identities?.take() ?? null;
    if (uid !== null) this.#host.identities?.release(uid);
    return explainLinuxCall({
      job,
      tier: this.tier,
      host: this.#host,
      uid,
      cgroup: null,
      egress: null,
      resolution: this.#resolution,
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
      const { uid, cgroup, egress } = await this.#acquire(job, scratch, holdings);
      const plan = planLinuxCall({
        uid,
        cgroup,
        egress,
        resolution: this.#resolution,
        job,
        scratch,
        tier: this.tier,
        host: this.#host,
        protectedPaths: this.#protectedPaths,
        inherited: process.env,
      });
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
    const isBridged = this.tier === 'isolated';
    const egress = isBridged ? await startEgress(job, scratch, this.#resolution) : null;
    if (egress !== null) holdings.add(() => egress.close());
    // At `isolated` the folder stays the supervisor's: it holds the socket, and a tmpfs lies over it.
    if (uid !== null && this.tier === 'hardened') await chown(scratch, uid, uid);
    return { uid, cgroup, egress };
  }

  /** Whatever the kill of the tree missed. A pid namespace has died as a whole by then. */
  async #contain(uid: number | null, cgroup: CallCgroup | null): Promise<void> {
    if (cgroup !== null) return cgroup.kill();
    const { identities, launcher } = this.#host;
    if (uid !== null && identities !== null) await killUser(launcher, identities, uid);
  }
}

interface Acquired {
  readonly uid: number | null;
  readonly cgroup: CallCgroup | null;
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
const NO_WRITE_AS_ROOT: Shortfall = {
  cause: 'a root supervisor runs each tool as a user of its own, which may not write there',
  remedy: 'run the supervisor as the owner of the write paths',
};
const NO_QUOTA: Shortfall = {
  cause: '`max_disk_mb` bounds the scratch folder, not the write paths of the policy',
  remedy: 'take `resource_limits.max_disk_mb` or `filesystem.write` out of the policy',
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
