import { lstatSync, statfsSync } from 'node:fs';
import type { LimitKind } from '../call.ts';
import { countDeleted, countDisk, type DiskUsage, TooMuchToCount } from './disk-usage.ts';
import { isolationUnavailable } from './host-support-error.ts';
import { BLIND_LOOKS_MAX, type LimitWatch, type OnBlind, type OnBreach } from './limit-watch.ts';

/** Files and folders in everything that is watched, together: 65,536 take about half a second. */
const ENTRIES_MAX = 131_072;
const TICK_MS = 100;
/** A walk holds this process up for so long at a time. */
const SLICE_MS = 4;
/** Walks may cost at most this share of the time … */
const COST_SHARE_MAX = 0.1;
/** … but one is made at least this often. */
const PAUSE_MS_MAX = 2000;
/** And at the next tick when the file system lost so much since the last one. */
const LOSS_BYTES = 16 * 2 ** 20;

/** What a call may write, and how much. */
export interface DiskWatchInput {
  /** Real paths, whose files outlive the call. */
  readonly paths: readonly string[];
  /** Where it is not bounded by its own size. */
  readonly scratch: string | null;
  readonly bytesMax: number;
}

/** Who writes, and what happens then. */
export interface DiskWatchStart {
  /** Everything that runs for the call: files without a name are found among what they hold open. */
  readonly pids: () => Promise<readonly number[]>;
  /** Files of ours that a process of the call holds open; see `fileKey`. */
  readonly ignored: ReadonlySet<string>;
  readonly onBreach: OnBreach;
  readonly onBlind: OnBlind;
}

/** A watch that is ready: what lay in the paths before is known. */
export interface DiskWatch {
  /** Again for each call that the same worker serves. */
  start(how: DiskWatchStart): DiskLooks;
}

/** A watch of disks has no peaks to tell. */
export type DiskLooks = Pick<LimitWatch, 'stop'>;

/**
 * Counts what lies in the paths before the call, so that only what the call adds is held against its
 * limit. From then on they are walked up to ten times a second: a call may be over its limit for that
 * long. What is not seen: space that a tool holds by a mapping or an unread message alone.
 *
 * @throws {IsolationUnavailableError} for paths that cannot be watched: too many entries, or closed
 */
export async function prepareDiskWatch(input: DiskWatchInput): Promise<DiskWatch> {
  const all = input.scratch === null ? input.paths : [...input.paths, input.scratch];
  const before = await walk(all).catch((error: unknown) => {
    throw isolationUnavailable(
      {
        cause: `the write paths cannot be watched for \`max_disk_mb\`: ${reasonOf(error)}`,
        remedy: 'narrow `filesystem.write`, or set `resource_limits.max_disk_mb: unlimited`',
      },
      error,
    );
  });
  // The same for every call of a worker, and to the last look: what one leaves in its scratch is there
  // for the next, which could otherwise leave as much again.
  const limit = { all, bytesMax: before.bytes + input.bytesMax };
  return { start: (how) => startWatch(limit, how) };
}

interface DiskLimit {
  readonly all: readonly string[];
  /** With what lay there before. */
  readonly bytesMax: number;
}

function startWatch(limit: DiskLimit, how: DiskWatchStart): DiskLooks {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let blindLooks = 0;
  let nextWalkAt = 0;
  let freeAtWalk = freeBytes(limit.all);
  const stop = (): void => {
    isStopped = true;
    clearTimeout(timer);
  };
  const look = async (): Promise<void> => {
    const began = performance.now();
    freeAtWalk = freeBytes(limit.all);
    const isOver = await isOverLimit(limit, how);
    nextWalkAt = performance.now() + pauseAfterWalk(performance.now() - began);
    blindLooks = 0;
    if (isStopped || !isOver) return;
    stop();
    how.onBreach('disk');
  };
  const tick = async (): Promise<void> => {
    const isDue = performance.now() >= nextWalkAt || freeAtWalk - freeBytes(limit.all) > LOSS_BYTES;
    if (isDue)
      await look().catch((cause: unknown) => {
        blindLooks += 1;
        if (isStopped || blindLooks < BLIND_LOOKS_MAX) return;
        stop();
        how.onBlind(cause);
      });
    if (!isStopped) timer = setTimeout(tick, TICK_MS);
  };
  timer = setTimeout(tick, TICK_MS);
  return {
    stop: () => {
      stop();
      return lastLook(limit);
    },
  };
}

/** The processes are gone, and with them what had no name: what they leave is counted in one go. */
function lastLook({ all, bytesMax }: DiskLimit): LimitKind | null {
  const bytes = countNow(all);
  // More than can be counted was not there before; and what a tool has closed, it has to answer for.
  return bytes === null || bytes > bytesMax ? 'disk' : null;
}

/** Null where it cannot be counted. Holds this process up for the whole walk. */
function countNow(paths: readonly string[]): number | null {
  try {
    const walking = countDisk(paths, ENTRIES_MAX);
    for (let step = walking.next(); ; step = walking.next())
      if (step.done === true) return step.value.bytes;
  } catch {
    return null;
  }
}

async function isOverLimit(
  { all, bytesMax }: DiskLimit,
  { pids, ignored }: DiskWatchStart,
): Promise<boolean> {
  const counted = await walk(all).catch((error: unknown) => {
    if (error instanceof TooMuchToCount) return null;
    throw error;
  });
  if (counted === null) return true;
  if (counted.bytes > bytesMax) return true;
  return counted.bytes + countDeleted(await pids(), devicesOf(all), ignored) > bytesMax;
}

async function walk(paths: readonly string[]): Promise<DiskUsage> {
  const walking = countDisk(paths, ENTRIES_MAX);
  try {
    for (;;) {
      const until = performance.now() + SLICE_MS;
      do {
        const step = walking.next();
        if (step.done === true) return step.value;
      } while (performance.now() < until);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    walking.return({ bytes: 0, entries: 0 });
  }
}

/** How long until the next walk, when nothing hastens it. Pure. */
export function pauseAfterWalk(walkMs: number): number {
  return Math.min(Math.max(TICK_MS / 2, walkMs / COST_SHARE_MAX), PAUSE_MS_MAX);
}

/** Of the file systems that hold the paths, each as often as it is named: only differences matter. */
function freeBytes(paths: readonly string[]): number {
  return paths
    .map((path) => {
      try {
        const { bfree, bsize } = statfsSync(path);
        return bfree * bsize;
      } catch {
        // Gone: the walk finds nothing there either.
        return 0;
      }
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}

function devicesOf(paths: readonly string[]): ReadonlySet<number> {
  return new Set(paths.flatMap((path) => lstatSync(path, { throwIfNoEntry: false })?.dev ?? []));
}

function reasonOf(error: unknown): string {
  if (error instanceof TooMuchToCount) return `${error.message} (at most ${ENTRIES_MAX})`;
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}

/** Two watches of one call as one: the first limit that is exceeded counts. */
export function watchBoth(first: LimitWatch, second: DiskLooks): LimitWatch {
  return {
    get peaks() {
      return first.peaks;
    },
    get limitsHit() {
      return first.limitsHit;
    },
    stop: () => {
      const disk = second.stop();
      return first.stop() ?? disk;
    },
  };
}
