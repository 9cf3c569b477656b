import type { Layer } from '../call.ts';
import type { Resolution } from './egress-gate.ts';
import type { LaunchRow } from './launch-table.ts';
import type { LimitWatch, OnBlind, OnBreach } from './limit-watch.ts';
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
  /** Watches memory, CPU time and processes. */
  readonly watch: (tree: ProcessTree, onBreach: OnBreach, onBlind: OnBlind) => LimitWatch;
  /** Ends what a kill of the process tree may have missed. */
  readonly contain?: () => Promise<void>;
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
}
