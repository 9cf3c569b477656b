import type { LimitKind, Limits } from '../call.ts';
import type { CallCgroup } from './cgroup-call.ts';
import { BLIND_LOOKS_MAX, type LimitWatch, type OnBlind, type OnBreach } from './limit-watch.ts';

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
): LimitWatch {
  let blindLooks = 0;
  const peaks = { cpuMs: 0, peakMemoryBytes: 0 };
  const limitsHit = new Set<string>();
  const look = (): LimitKind | null => {
    const usage = group.readUsage();
    peaks.cpuMs = Math.max(peaks.cpuMs, usage.cpuMs);
    peaks.peakMemoryBytes = Math.max(peaks.peakMemoryBytes, usage.peakMemoryBytes);
    if (usage.pidsMaxEvents > 0) limitsHit.add('processes');
    if (usage.oomKills > 0) return 'memory';
    return usage.cpuMs > limits.cpuMs ? 'cpu' : null;
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
