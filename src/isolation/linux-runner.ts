import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Confinement } from '../call.ts';
import { isEnforceError } from '../errors.ts';
import { createCallCgroup } from './cgroup.ts';
import type { CallCgroup } from './cgroup-call.ts';
import {
  type EgressProxy,
  type EgressProxyOptions,
  type EgressRecord,
  startEgressProxy,
} from './egress-proxy.ts';
import type { Shortfall } from './host-support-error.ts';
import { signalGroup } from './kill-tree.ts';
import { killUser } from './kill-user.ts';
import type { LinuxHost } from './linux-host.ts';
import { planLinuxCall, sandboxChoice } from './linux-plan.ts';
import { emptyReport, type Job, type RunEnd, type Runner, type RunReport } from './runner.ts';
import { createScratch, removeScratch } from './scratch.ts';
import { superviseProcess } from './supervisor.ts';
import type { ResolvedTarget } from './tool-target.ts';

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

/** How the egress proxy finds addresses, and which it never connects to. */
export type Resolution = Pick<EgressProxyOptions, 'resolve' | 'forbidden'>;

/** What a call holds while it runs, released in reverse. */
interface Holdings {
  readonly scratch: string;
  readonly uid: number | null;
  readonly cgroup: CallCgroup | null;
  readonly egress: EgressProxy | null;
}

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
  readonly #live = new Set<number>();
  readonly #onExit = (): void => {
    for (const pid of this.#live) signalGroup(pid);
  };

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
    process.on('exit', this.#onExit);
  }

  unsuited(target: ResolvedTarget, confinement: Confinement): Shortfall | null {
    const { network, filesystem } = confinement;
    if (typeof network === 'object' && this.tier === 'hardened') return NO_DOMAINS;
    if (this.#host.identities !== null && filesystem.write.length > 0) return NO_WRITE_AS_ROOT;
    if (this.tier === 'isolated') return null;
    const { profile, exec } = sandboxChoice(target, confinement);
    const isSameUser = this.#host.identities === null;
    if (profile === 'compat' && isSameUser) return NO_COMPAT;
    const isContained = !isSameUser || this.#host.cgroups.works || exec === 'none';
    return isContained ? null : NOT_CONTAINED;
  }

  async run(job: Job): Promise<RunReport> {
    let holdings: Holdings | null = null;
    try {
      holdings = await this.#acquire(job);
      const { tier } = this;
      const plan = planLinuxCall({
        ...holdings,
        job,
        tier,
        host: this.#host,
        protectedPaths: this.#protectedPaths,
        inherited: process.env,
      });
      const contain = (): Promise<void> => this.#contain(holdings);
      return await superviseProcess({ ...plan, contain }, job, this.#live);
    } catch (cause) {
      if (!isEnforceError(cause)) throw cause;
      return emptyReport(unavailable(cause.message));
    } finally {
      await this.#release(holdings);
    }
  }

  /** The enforcer has stopped its calls before; nothing is left to wait for. */
  async close(): Promise<void> {
    this.#onExit();
    process.off('exit', this.#onExit);
  }

  async #acquire(job: Job): Promise<Holdings> {
    const { cgroups, identities } = this.#host;
    const { limits } = job.confinement;
    const scratch = await createScratch(tmpdir());
    const uid = identities?.take() ?? null;
    let cgroup: CallCgroup | null = null;
    let egress: EgressProxy | null = null;
    try {
      cgroup = cgroups.works ? await createCallCgroup(cgroups, limits) : null;
      egress = await startEgress(job, scratch, this.#resolution);
      // At `isolated` the folder stays the supervisor's: it holds the socket, and a tmpfs lies over it.
      if (uid !== null && this.tier === 'hardened') await chown(scratch, uid, uid);
      return { scratch, uid, cgroup, egress };
    } catch (cause) {
      await this.#release({ scratch, uid, cgroup, egress });
      throw cause;
    }
  }

  /** Whatever the kill of the tree missed. A pid namespace has died as a whole by then. */
  async #contain(holdings: Holdings | null): Promise<void> {
    const { cgroup, uid } = holdings ?? {};
    await cgroup?.kill();
    const isEmpty = cgroup !== null && cgroup !== undefined;
    if (isEmpty || uid === null || uid === undefined) return;
    const { identities, launcher } = this.#host;
    if (identities !== null) await killUser(launcher, identities, uid);
  }

  async #release(holdings: Holdings | null): Promise<void> {
    if (holdings === null) return;
    const { scratch, uid, cgroup, egress } = holdings;
    await egress?.close();
    await cgroup?.remove();
    await removeScratch(scratch);
    if (uid !== null) this.#host.identities?.release(uid);
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
const NO_WRITE_AS_ROOT: Shortfall = {
  cause: 'a root supervisor runs each tool as a user of its own, which may not write there',
  remedy: 'run the supervisor as the owner of the write paths',
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
