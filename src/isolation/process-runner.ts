import { buildEnvironment } from './environment.ts';
import { guardGroups } from './exit-guard.ts';
import { signalGroup } from './kill-tree.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { usageOf, watchLimits } from './limit-watch.ts';
import { runInScratch } from './run-in-scratch.ts';
import type { Job, Runner, RunReport } from './runner.ts';
import { superviseProcess } from './supervisor.ts';
import { programOf } from './worker-program.ts';

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
  readonly #live = new Set<number>();
  readonly #unguard: () => void = guardGroups(this.#live);

  async run(job: Job): Promise<RunReport> {
    return runInScratch(LAYERS, (scratch) =>
      superviseProcess(planProcess(job, scratch, process.env), job, this.#live),
    );
  }

  /** The enforcer has stopped its calls before; nothing is left to wait for. */
  async close(): Promise<void> {
    for (const pid of this.#live) signalGroup(pid);
    this.#unguard();
  }
}

/** What to start for a job at this tier. */
export function planProcess(
  job: Job,
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
