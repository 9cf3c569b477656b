import pidusage from 'pidusage';
import type { LimitKind, Limits } from '../call.ts';
import type { ProcessEntry } from './process-table.ts';
import type { ProcessTree } from './process-tree.ts';

/** How often a process tree is sampled. What grows and shrinks within one interval is not seen. */
export const SAMPLE_INTERVAL_MS = 100;
/** A look may cost at most this share of the time: on a host with many processes it looks less often. */
const SAMPLE_COST_SHARE_MAX = 0.1;
/** But at least this often: a tool that keeps the host busy must not buy itself time unwatched. */
const SAMPLE_PAUSE_MS_MAX = 400;
/** pidusage keeps one descriptor per pid for this long. */
const PIDUSAGE_KEEP_MS = 1000;
/** Looks in a row that may fail; then the limits are no longer watched, and the call must end. */
export const BLIND_LOOKS_MAX = 5;

/** What one look at a tree saw. */
export interface TreeSample {
  readonly processes: number;
  /** Sum of resident sets: pages that processes share count once for each. */
  readonly memoryBytes: number;
  /** Of the processes alive now, and of those that one of them started and waited for. */
  readonly cpuMs: number;
}

export interface WatchPeaks {
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
}

/**
 * What a worker had used before its call: of a prepared worker its start, of a reused one its
 * earlier calls. It is not the call's.
 */
export interface UsageBefore {
  readonly cpuMs: number;
  /** Held at that moment. */
  readonly memoryBytes: number;
  /** The highest that was seen until then. */
  readonly peakMemoryBytes: number;
  /** Refused forks and threads. */
  readonly pidsMaxEvents: number;
}

/** Of a worker that is started for its call: the start is part of it. */
export const NOTHING_USED: UsageBefore = {
  cpuMs: 0,
  memoryBytes: 0,
  peakMemoryBytes: 0,
  pidsMaxEvents: 0,
};

/** Called once, with the first limit that is exceeded. */
export type OnBreach = (limit: LimitKind) => void;

/** Called once, when the process table cannot be read: nothing is being watched any more. */
export type OnBlind = (cause: unknown) => void;

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
 * Stops itself before it calls back.
 */
export function watchLimits(
  tree: ProcessTree,
  limits: Limits,
  onBreach: OnBreach,
  onBlind: OnBlind,
  before: UsageBefore = NOTHING_USED,
): LimitWatch {
  const peaks = { cpuMs: 0, peakMemoryBytes: 0 };
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let blindLooks = 0;
  const stop = (): void => {
    isStopped = true;
    clearTimeout(timer);
  };
  const onSample = (seen: TreeSample): void => {
    blindLooks = 0;
    const sample = { ...seen, cpuMs: seen.cpuMs - before.cpuMs };
    peaks.cpuMs = Math.max(peaks.cpuMs, sample.cpuMs);
    peaks.peakMemoryBytes = Math.max(peaks.peakMemoryBytes, sample.memoryBytes);
    const breached = breachOf(sample, limits);
    if (breached === null) return;
    stop();
    onBreach(breached);
  };
  const onFailedLook = (cause: unknown): void => {
    blindLooks += 1;
    if (blindLooks < BLIND_LOOKS_MAX) return;
    stop();
    onBlind(cause);
  };
  const look = async (): Promise<void> => {
    const began = performance.now();
    const looked = await sampleTree(tree).then(
      (sample) => () => onSample(sample),
      (cause: unknown) => () => onFailedLook(cause),
    );
    if (isStopped) return;
    looked();
    if (isStopped) return;
    const cost = performance.now() - began;
    timer = setTimeout(look, pauseAfter(cost));
  };
  timer = setTimeout(look, SAMPLE_INTERVAL_MS / 4);
  return {
    peaks,
    limitsHit: [],
    stop: () => {
      stop();
      return null;
    },
  };
}

/** What a tree uses now, for a watch that begins later. */
export async function usageOf(tree: ProcessTree): Promise<UsageBefore> {
  const { cpuMs, memoryBytes } = await sampleTree(tree);
  return { cpuMs, memoryBytes, peakMemoryBytes: memoryBytes, pidsMaxEvents: 0 };
}

/** A look that took long was on a host with many processes, or a tool made the host slow. */
export function pauseAfter(lookMs: number): number {
  const pause = Math.max(SAMPLE_INTERVAL_MS, lookMs / SAMPLE_COST_SHARE_MAX);
  return Math.min(pause, SAMPLE_PAUSE_MS_MAX);
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
  const entries = await tree.refresh();
  const stats = entries.length === 0 ? {} : await readUsage(entries);
  let memoryBytes = 0;
  let cpuMs = 0;
  for (const usage of Object.values(stats)) {
    memoryBytes += usage?.memory ?? 0;
    cpuMs += usage?.ctime ?? 0;
  }
  for (const { endedChildrenCpuMs } of entries) cpuMs += endedChildrenCpuMs;
  return { processes: entries.length, memoryBytes, cpuMs };
}

type UsageByPid = Readonly<Record<string, { memory: number; ctime: number } | undefined>>;

/** When the last process ended meanwhile there is nothing to see; its exit is noticed elsewhere. */
async function readUsage(entries: readonly ProcessEntry[]): Promise<UsageByPid> {
  const pids = entries.map(({ pid }) => pid);
  return pidusage(pids, { maxage: PIDUSAGE_KEEP_MS }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ESRCH' || cause.code === undefined) return {};
    throw cause;
  });
}
