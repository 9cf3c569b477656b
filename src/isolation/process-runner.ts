import { buildEnvironment } from './environment.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { usageOf, watchLimits } from './limit-watch.ts';
import type { Job, Runner, RunReport, WorkerSpec } from './runner.ts';
import type { WorkerPool } from './worker-pool.ts';
import { programOf } from './worker-program.ts';
import type { Furnish, WorkerSeat } from './worker-seat.ts';
import { WorkerSeats } from './worker-seats.ts';

const LAYERS = [
  'own-process',
  'scrubbed-environment',
  'framed-channel',
  'wall-clock',
  'output-cap',
  'memory-sampled',
  'cpu-sampled',
  'processes-sampled',
  'group-kill',
] as const;

const ENFORCES = [
  'environment',
  'resource_limits.max_call_duration_seconds',
  'resource_limits.max_cpu_seconds',
  'resource_limits.max_memory_mb',
  'resource_limits.max_processes',
  'resource_limits.max_output_size_bytes',
] as const;

/**
 * The tier every system has: a child process with a scrubbed environment, its own process group and
 * a framed channel. Time and output are exact; memory, CPU time and processes are sampled. It does
 * not confine what hostile code may read, write or connect to, and a daemon may outlive it.
 */
export class ProcessRunner implements Runner {
  readonly tier = 'process';
  readonly layers: readonly string[] = LAYERS;
  readonly enforces: ReadonlySet<string> = new Set(ENFORCES);
  readonly #seats: WorkerSeats;

  /** @param pool - where prepared workers lie ready; null: every call starts its own */
  constructor(pool: WorkerPool<WorkerSeat> | null = null) {
    const furnish: Furnish = async (spec, scratch) => ({
      plan: planProcess(spec, scratch, spec.inherited ?? process.env),
    });
    this.#seats = new WorkerSeats({ tier: this.tier, layers: LAYERS, furnish, pool });
  }

  async run(job: Job): Promise<RunReport> {
    return this.#seats.run(job);
  }

  async close(): Promise<void> {
    return this.#seats.close();
  }
}

/** What to start for a job at this tier. */
export function planProcess(
  job: WorkerSpec,
  scratch: string,
  inherited: Readonly<Record<string, string | undefined>>,
): LaunchPlan {
  const { environment, limits } = job.confinement;
  return {
    ...programOf(job),
    env: buildEnvironment(environment, inherited, scratch),
    cwd: scratch,
    layers: LAYERS,
    profileDigest: null,
    watch: (tree, onBreach, onBlind, before) =>
      watchLimits(tree, limits, onBreach, onBlind, before),
    usage: usageOf,
  };
}
