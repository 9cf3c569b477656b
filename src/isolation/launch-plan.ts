import type { Layer } from '../call.ts';

/** A process to start, and what is in force around it. Plain data. */
export interface LaunchPlan {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `frames`: a worker on descriptor 3. `stdio`: a command, arguments on stdin, result on stdout. */
  readonly channel: 'frames' | 'stdio';
  readonly layers: readonly Layer[];
  /** SHA-256 of the sandbox profile; null where there is none. */
  readonly profileDigest: string | null;
}
