import { fileURLToPath } from 'node:url';
import { buildEnvironment } from './environment.ts';
import { guardGroups } from './exit-guard.ts';
import { signalGroup } from './kill-tree.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { runInScratch } from './run-in-scratch.ts';
import type { Job, Runner, RunReport } from './runner.ts';
import { superviseProcess } from './supervisor.ts';

/** Room V8 needs besides its old generation before the memory limit itself would fire. */
const HEAP_SHARE = 0.9;

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

/** What to start for a job at this tier. Pure. */
export function planProcess(
  { target, confinement }: Job,
  scratch: string,
  inherited: Readonly<Record<string, string | undefined>>,
): LaunchPlan {
  const shared = {
    env: buildEnvironment(confinement.environment, inherited, scratch),
    cwd: scratch,
    layers: LAYERS,
    profileDigest: null,
  };
  if (target.kind === 'command') {
    return { ...shared, file: target.program, args: target.args, channel: 'stdio' };
  }
  if (target.kind === 'function') throw new TypeError('a function does not run in a process');
  const entry = fileURLToPath(import.meta.resolve('#worker/process-entry'));
  return {
    ...shared,
    file: process.execPath,
    args: [...heapFlags(confinement.limits.memoryBytes), entry],
    channel: 'frames',
  };
}

/**
 * V8 ends with its own message when the JavaScript heap is full, which tells more than our kill.
 * Buffers and children are not in it: the watchdog, or a cgroup, sees those.
 */
function heapFlags(memoryBytes: number): readonly string[] {
  if (memoryBytes === Number.POSITIVE_INFINITY) return [];
  return [`--max-old-space-size=${Math.max(8, Math.floor((memoryBytes / 2 ** 20) * HEAP_SHARE))}`];
}
