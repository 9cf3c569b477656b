import pidusage from 'pidusage';
import type { LimitKind, Limits } from '../call.ts';
import type { ProcessTree } from './process-tree.ts';

/** How often a process tree is sampled. What grows and shrinks within one interval is not seen. */
export const SAMPLE_INTERVAL_MS = 100;
/** A look may cost at most this share of the time: on a host with many processes it looks less often. */
const SAMPLE_COST_SHARE_MAX = 0.1;
/** pidusage keeps one descriptor per pid for this long. */
const PIDUSAGE_KEEP_MS = 1000;

/** What one look at a tree saw. */
export interface TreeSample {
  readonly processes: number;
  /** Sum of resident sets: pages that processes share count once for each. */
  readonly memoryBytes: number;
  /** Of the processes alive now. */
  readonly cpuMs: number;
}

export interface WatchPeaks {
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
}

/** Called once, with the first limit that is exceeded. */
export type OnBreach = (limit: LimitKind) => void;

/** Watches one process tree from outside, until it is stopped. */
export interface LimitWatch {
  /** The largest values seen. */
  readonly peaks: WatchPeaks;
  /** Limits that the tool met and survived. */
  readonly limitsHit: readonly string[];
  /** Looks for the last time: a limit whose breach ended the process before it was noticed. */
  stop(): LimitKind | null;
}

/**
 * Samples the tree every {@link SAMPLE_INTERVAL_MS} and reports the first limit that is exceeded.
 *
 * @param onBreach - called once, before the watch stops itself
 */
export function watchLimits(tree: ProcessTree, limits: Limits, onBreach: OnBreach): LimitWatch {
  const peaks = { cpuMs: 0, peakMemoryBytes: 0 };
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    const began = performance.now();
    const sample = await sampleTree(tree);
    if (isStopped) return;
    peaks.cpuMs = Math.max(peaks.cpuMs, sample.cpuMs);
    peaks.peakMemoryBytes = Math.max(peaks.peakMemoryBytes, sample.memoryBytes);
    const breached = breachOf(sample, limits);
    if (breached !== null) {
      isStopped = true;
      onBreach(breached);
      return;
    }
    const cost = performance.now() - began;
    timer = setTimeout(look, Math.max(SAMPLE_INTERVAL_MS, cost / SAMPLE_COST_SHARE_MAX));
  };
  timer = setTimeout(look, SAMPLE_INTERVAL_MS / 4);
  return {
    peaks,
    limitsHit: [],
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      return null;
    },
  };
}

/** The limit a sample exceeds, the most telling one first. Pure. */
export function breachOf(sample: TreeSample, limits: Limits): LimitKind | null {
  if (sample.memoryBytes > limits.memoryBytes) return 'memory';
  // The worker itself is not counted: `max_processes` is what the tool adds.
  if (sample.processes - 1 > limits.processesMax) return 'processes';
  if (sample.cpuMs > limits.cpuMs) return 'cpu';
  return null;
}

async function sampleTree(tree: ProcessTree): Promise<TreeSample> {
  const pids = await tree.refresh();
  // A look that fails (the last process ended meanwhile) saw nothing; the exit is noticed elsewhere.
  const stats = pids.length === 0 ? {} : await readUsage(pids);
  let memoryBytes = 0;
  let cpuMs = 0;
  for (const usage of Object.values(stats)) {
    memoryBytes += usage?.memory ?? 0;
    cpuMs += usage?.ctime ?? 0;
  }
  return { processes: pids.length, memoryBytes, cpuMs };
}

type UsageByPid = Readonly<Record<string, { memory: number; ctime: number } | undefined>>;

async function readUsage(pids: readonly number[]): Promise<UsageByPid> {
  return pidusage([...pids], { maxage: PIDUSAGE_KEEP_MS }).catch(() => ({}));
}
