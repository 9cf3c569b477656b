import type { Controller } from './cgroup-hierarchy.ts';

/** What a call's group has used, and how often the kernel stopped it. */
export interface CgroupUsage {
  readonly cpuMs: number;
  /** Charged now. */
  readonly memoryBytes: number;
  readonly peakMemoryBytes: number;
  /** Processes the kernel killed because the group was out of memory. */
  readonly oomKills: number;
  /** Refused forks and threads. */
  readonly pidsMaxEvents: number;
}

/** Reads a file of a group; `null` when the kernel does not have it. */
export type ReadGroupFile = (file: string) => string | null;

/** The counters of one controller. What it does not count is 0. */
export function readController(
  version: 1 | 2,
  controller: Controller,
  read: ReadGroupFile,
): CgroupUsage {
  const nothing = { cpuMs: 0, memoryBytes: 0, peakMemoryBytes: 0, oomKills: 0, pidsMaxEvents: 0 };
  const keyed = (file: string, key: string) => keyedValue(read(file), key);
  const single = (file: string) => Number(read(file) ?? 0) || 0;
  if (controller === 'pids') return { ...nothing, pidsMaxEvents: keyed('pids.events', 'max') };
  if (controller === 'cpuacct') return { ...nothing, cpuMs: single('cpuacct.usage') / 1e6 };
  if (controller === 'cpu')
    return version === 1 ? nothing : { ...nothing, cpuMs: keyed('cpu.stat', 'usage_usec') / 1e3 };
  if (version === 1)
    return {
      ...nothing,
      memoryBytes: single('memory.usage_in_bytes'),
      peakMemoryBytes: single('memory.max_usage_in_bytes'),
      oomKills: keyed('memory.oom_control', 'oom_kill'),
    };
  const memoryBytes = single('memory.current');
  return {
    ...nothing,
    memoryBytes,
    // `memory.peak` is new in Linux 5.19; before, the highest value that was polled counts.
    peakMemoryBytes: Math.max(single('memory.peak'), memoryBytes),
    oomKills: Math.max(
      keyed('memory.events', 'oom_kill'),
      keyed('memory.events', 'oom_group_kill'),
    ),
  };
}

/** The number after `key` in a flat keyed file, 0 when there is none. */
function keyedValue(text: string | null, key: string): number {
  for (const line of (text ?? '').split('\n')) {
    const [name, value] = line.split(' ');
    if (name === key) return Number(value) || 0;
  }
  return 0;
}
