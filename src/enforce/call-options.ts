import type { CallContext } from '../call.ts';
import type { Trust } from '../isolation/index.ts';
import type { CallLimits } from './tighten.ts';

/** What a caller may say about one call. Limits only tighten the policy. */
export interface RunOptions extends CallLimits {
  /** Name for the policy. Default: the file's stem, the command's basename. */
  readonly tool?: string;
  readonly context?: CallContext;
  /** Ends the call: the tool is told, then killed. */
  readonly signal?: AbortSignal;
  /** Log lines of the tool, redacted. */
  readonly onLog?: (message: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a caller may say about a function of this process. */
export interface WrapOptions {
  /** Names of the positional arguments; without them policies see `args[0]`, `args[1]` … */
  readonly params?: readonly string[];
  /** Limits that need isolation and that the caller waives for this function. */
  readonly trusted?: readonly Trust[];
  readonly context?: CallContext;
}
