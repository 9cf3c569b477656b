import type { LimitKind, Limits } from '../call.ts';
import type { CallCgroup } from './cgroup-call.ts';
import type { LimitListener, LimitWatch } from './limit-watch.ts';

/** On v1 only one process is killed at an overflow: the call must be ended, and soon. */
const POLL_MS = 100;

/**
 * Watches a call through its control group: the kernel holds memory and processes exactly, CPU time
 * is polled. The group's counters are also the evidence of what ended the call.
 */
export function watchCgroup(
  group: CallCgroup,
  limits: Limits,
  listener: LimitListener,
): LimitWatch {
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
  const timer = setInterval(() => {
    const breached = look();
    if (breached === null) return;
    clearInterval(timer);
    listener.breach(breached);
  }, POLL_MS);
  return {
    peaks,
    get limitsHit() {
      return [...limitsHit];
    },
    stop: () => {
      clearInterval(timer);
      return look();
    },
  };
}
