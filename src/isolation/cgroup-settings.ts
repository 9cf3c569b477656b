import type { Layer, Limits } from '../call.ts';
import type { Controller } from './cgroup-hierarchy.ts';

/** One value for one file of a group. */
export interface GroupSetting {
  readonly file: string;
  readonly value: string;
  /** The kernel may lack the file; `layer` then names what is missing. */
  readonly optional?: { readonly withoutIt: Layer | null };
}

/** What a group is set to besides the limits of the policy. */
export interface GroupOptions {
  /** Threads and processes of the sandbox itself: Node starts with 11, bwrap adds two. */
  readonly ownTasks: number;
  /** Share of the CPU against the supervisor's 100 when both want it, 1..10000. */
  readonly cpuWeight: number;
  /** CPUs' worth of time per 100 ms; `Infinity` = no bandwidth limit. */
  readonly cpus: number;
}

const PERIOD_US = 100_000;

/**
 * The files that hold a call's limits, in the order in which they must be written: v1 takes
 * `memsw` only after the smaller memory limit.
 *
 * Swap is off, because a tool that swaps has the memory it was refused. In v2 the whole group dies
 * of one memory overflow; v1 kills one process, and the caller must end the call.
 *
 * @see Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/{memory,pids}.rst of Linux
 */
export function groupSettings(
  version: 1 | 2,
  controller: Controller,
  limits: Limits,
  options: GroupOptions,
): readonly GroupSetting[] {
  const unlimited = version === 2 ? 'max' : '-1';
  const amount = (value: number) => (Number.isFinite(value) ? `${Math.ceil(value)}` : unlimited);
  const memory = amount(limits.memoryBytes);
  const swap = { withoutIt: 'swap-unbounded' };
  if (controller === 'memory' && version === 2)
    return [
      { file: 'memory.max', value: memory },
      { file: 'memory.swap.max', value: '0', optional: swap },
      { file: 'memory.oom.group', value: '1' },
    ];
  if (controller === 'memory')
    return [
      { file: 'memory.limit_in_bytes', value: memory },
      { file: 'memory.memsw.limit_in_bytes', value: memory, optional: swap },
      { file: 'memory.swappiness', value: '0', optional: { withoutIt: null } },
    ];
  if (controller === 'pids') {
    const tasks = limits.processesMax + options.ownTasks;
    return [{ file: 'pids.max', value: Number.isFinite(tasks) ? `${tasks}` : 'max' }];
  }
  return controller === 'cpu' ? cpuSettings(version, options) : [];
}

function cpuSettings(version: 1 | 2, { cpuWeight, cpus }: GroupOptions): readonly GroupSetting[] {
  const quota = Number.isFinite(cpus) ? `${Math.max(1000, Math.round(cpus * PERIOD_US))}` : null;
  if (version === 2)
    return [
      { file: 'cpu.weight', value: `${cpuWeight}` },
      { file: 'cpu.max', value: `${quota ?? 'max'} ${PERIOD_US}` },
    ];
  return [
    // v1 counts shares of 1024 where v2 counts weights of 100.
    { file: 'cpu.shares', value: `${Math.max(2, Math.round((cpuWeight * 1024) / 100))}` },
    { file: 'cpu.cfs_quota_us', value: quota ?? '-1', optional: { withoutIt: null } },
  ];
}
