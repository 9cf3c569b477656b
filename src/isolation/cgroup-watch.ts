import type { LimitKind, Limits } from '../call.ts';
import type { CallCgroup } from './cgroup-call.ts';
import type { CgroupUsage } from './cgroup-usage.ts';
import {
  BLIND_LOOKS_MAX,
  type LimitWatch,
  NOTHING_USED,
  type OnBlind,
  type OnBreach,
  type UsageBefore,
} from './limit-watch.ts';

/** On v1 only one process is killed at an overflow: the call must be ended, and soon. */
const POLL_MS = 100;

/**
 * Watches a call through its control group: the kernel holds memory and processes exactly, CPU time
 * is polled. The group's counters are also the evidence of what ended the call. Stops itself before
 * it calls back.
 */
export function watchCgroup(
  group: CallCgroup,
  limits: Limits,
  onBreach: OnBreach,
  onBlind: OnBlind,
  before: UsageBefore = NOTHING_USED,
): LimitWatch {
  let blindLooks = 0;
  const peaks = { cpuMs: 0, peakMemoryBytes: 0 };
  const limitsHit = new Set<string>();
  const look = (): LimitKind | null => {
    const usage = group.readUsage();
    const cpuMs = usage.cpuMs - before.cpuMs;
    peaks.cpuMs = Math.max(peaks.cpuMs, cpuMs);
    peaks.peakMemoryBytes = Math.max(peaks.peakMemoryBytes, peakSince(before, usage));
    if (usage.pidsMaxEvents > before.pidsMaxEvents) limitsHit.add('processes');
    // A worker of which anything was killed before does not get another call.
    if (usage.oomKills > 0) return 'memory';
    return cpuMs > limits.cpuMs ? 'cpu' : null;
  };
  const onFailedLook = (cause: unknown): void => {
    blindLooks += 1;
    if (blindLooks < BLIND_LOOKS_MAX) return;
    clearInterval(timer);
    onBlind(cause);
  };
  const timer = setInterval(() => {
    const looked = attempt(look);
    if ('cause' in looked) return onFailedLook(looked.cause);
    blindLooks = 0;
    if (looked.breach === null) return;
    clearInterval(timer);
    onBreach(looked.breach);
  }, POLL_MS);
  return {
    peaks,
    get limitsHit() {
      return [...limitsHit];
    },
    stop: () => {
      clearInterval(timer);
      const looked = attempt(look);
      // The kernel held the limits whether or not its counters can be read.
      return 'breach' in looked ? looked.breach : null;
    },
  };
}

/** The kernel keeps one peak for the life of a group: one that did not rise is from before. */
function peakSince(before: UsageBefore, { memoryBytes, peakMemoryBytes }: CgroupUsage): number {
  return peakMemoryBytes > before.peakMemoryBytes ? peakMemoryBytes : memoryBytes;
}

/** Counters that cannot be read (no descriptor is free) are no reason to fall. */
function attempt(
  look: () => LimitKind | null,
): { readonly breach: LimitKind | null } | { readonly cause: unknown } {
  try {
    return { breach: look() };
  } catch (cause) {
    return { cause };
  }
}
