import type { Layer } from '../call.ts';
import type { Resolution } from './egress-gate.ts';
import type { LaunchRow } from './launch-table.ts';
import type { LimitWatch, OnBlind, OnBreach, UsageBefore } from './limit-watch.ts';
import type { ProcessTree } from './process-tree.ts';
import type { Architecture } from './seccomp-syscalls.ts';

/** A process to start, what is in force around it, and how it is watched and ended. */
export interface LaunchPlan {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `frames`: a worker on descriptor 3. `stdio`: a command, arguments on stdin, result on stdout. */
  readonly channel: 'frames' | 'stdio';
  readonly layers: readonly Layer[];
  /** SHA-256 of the system call filter; null where there is none. */
  readonly profileDigest: string | null;
  /** Present when the supervisor makes the requests of `fetch`: how it finds addresses then. */
  readonly fetchResolution?: Resolution;
  /** Present when `file` is the launcher. */
  readonly launch?: LauncherPlan;
  /** Watches memory, CPU time and processes, from what the worker had used before. */
  readonly watch: (
    tree: ProcessTree,
    onBreach: OnBreach,
    onBlind: OnBlind,
    before?: UsageBefore,
  ) => LimitWatch;
  /** Processes that are there before the tool adds any; 1 unless given. */
  readonly ownProcesses?: number;
  /** How many there are now; unless given, those that can be seen to belong to the tree. */
  readonly countProcesses?: () => number;
  /** What the worker has used so far: `before` of its next call. */
  readonly usage: (tree: ProcessTree) => Promise<UsageBefore>;
  /** Ends what a kill of the process tree may have missed. */
  readonly contain?: () => Promise<void>;
  /** `contain` alone reaches everything, and says when nothing is left: a cgroup. */
  readonly isContained?: boolean;
}

/** What the launcher is given besides its program. */
export interface LauncherPlan {
  readonly architecture: Architecture;
  /**
   * The rows of each launcher of the chain, in order.
   *
   * @param pid - of the first launcher, and so of the program where there is only one
   */
  readonly stages: (pid: number) => readonly (readonly LaunchRow[])[];
  /** A descriptor of ours for the child's descriptor 6, for a launcher inside a sandbox. */
  readonly descriptor: number | null;
  /** Texts the child reads from descriptors 7, 8 … */
  readonly texts: readonly string[];
  /** Descriptors of ours for the child, from the first number on that is free behind these. */
  readonly descriptors: readonly number[];
}
