import type { RunOptions } from './call-options.ts';

/** What a caller wants to hear while its tool runs. */
export type CallerCallbacks = Pick<RunOptions, 'onLog' | 'onProgress'>;

/**
 * The caller's callbacks, made safe to call from the supervisor: what one of them throws, or rejects
 * with, ends the call instead of an event listener of ours.
 *
 * @param fail - gets the reason, which may quote the error
 */
export function guardCallbacks(
  { onLog, onProgress }: CallerCallbacks,
  fail: (reason: string) => void,
): CallerCallbacks {
  return {
    ...(onLog === undefined ? {} : { onLog: guard('onLog', onLog, fail) }),
    ...(onProgress === undefined ? {} : { onProgress: guard('onProgress', onProgress, fail) }),
  };
}

function guard<A extends unknown[]>(
  name: string,
  callback: (...values: A) => unknown,
  fail: (reason: string) => void,
): (...values: A) => void {
  const onError = (cause: unknown): void => {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    fail(`the caller's \`${name}\` threw${why}`);
  };
  return (...values) => {
    try {
      const returned = callback(...values);
      if (returned instanceof Promise) returned.catch(onError);
    } catch (cause) {
      onError(cause);
    }
  };
}
