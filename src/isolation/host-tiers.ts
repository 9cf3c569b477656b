import type { TierShortfall } from './choose-runner.ts';
import { beforeEnd } from './exit-guard.ts';
import { type LayerSupport, probeLayers } from './host-support.ts';
import type { Shortfall } from './host-support-error.ts';
import { type LinuxHost, probeLinuxHost } from './linux-host.ts';
import { LinuxRunner } from './linux-runner.ts';
import { ProcessRunner } from './process-runner.ts';
import type { Runner } from './runner.ts';
import { ThreadRunner } from './thread-runner.ts';
import { type PoolBounds, WorkerPool } from './worker-pool.ts';
import type { WorkerSeat } from './worker-seat.ts';

/** The tiers that work on this host, and why the others do not. The owner closes the runners. */
export interface HostTiers {
  readonly runners: readonly Runner[];
  readonly shortfalls: readonly TierShortfall[];
  /** Prepared workers of all runners, which close it. */
  readonly pool: WorkerPool<WorkerSeat> | null;
}

/**
 * Tries each layer of isolation on this host and says what came of it.
 */
export async function describeHost(): Promise<readonly LayerSupport[]> {
  probed ??= probeLinuxHost();
  return probeLayers(await probed);
}

let probed: Promise<LinuxHost | Shortfall> | undefined;

/**
 * Finds out what this host can enforce, by trying it. The answers are kept for the life of the
 * process, with the open launcher: they do not change, and trying takes about 30 ms.
 *
 * @param protectedPaths - trail, policies, keys, state: never readable for a tool
 * @param bounds - of the workers that lie ready, all tiers together; null: none do
 */
export async function openHostTiers(
  protectedPaths: readonly string[],
  bounds: PoolBounds | null = null,
): Promise<HostTiers> {
  probed ??= probeLinuxHost();
  const host = await probed;
  const pool = bounds === null ? null : openPool(bounds);
  const weak = [new ProcessRunner(pool), new ThreadRunner()];
  if ('cause' in host) {
    const shortfalls = (['hardened', 'isolated'] as const).map((tier) => ({ tier, ...host }));
    return { runners: weak, shortfalls, pool };
  }
  const hardened = new LinuxRunner('hardened', host, protectedPaths, {}, pool);
  if (typeof host.bubblewrap !== 'string') {
    const shortfalls = [{ tier: 'isolated' as const, ...host.bubblewrap }];
    return { runners: [hardened, ...weak], shortfalls, pool };
  }
  const isolated = new LinuxRunner('isolated', host, protectedPaths, {}, pool);
  return { runners: [isolated, hardened, ...weak], shortfalls: [], pool };
}

/** Nobody has to close an enforcer for its idle workers to be gone when the program ends. */
function openPool(bounds: PoolBounds): WorkerPool<WorkerSeat> {
  const pool: WorkerPool<WorkerSeat> = new WorkerPool<WorkerSeat>(bounds, {
    onClose: beforeEnd(() => void pool.clear()),
  });
  return pool;
}
