import { LOG_CHARS_MAX } from './protocol.ts';

/** What a tool function gets besides its arguments. */
export interface ToolContext {
  /** Fires shortly before the deadline and when the caller aborts; the kill follows from outside. */
  readonly signal: AbortSignal;
  /** A line for the caller's log. Redacted and rate-bound by the supervisor. */
  log(message: string): void;
  /**
   * How far the tool is, for the caller's display.
   *
   * @throws {TypeError} unless both are numbers from 0 to 2^53-1
   */
  progress(done: number, total: number): void;
}

/** What a context says, to be put into messages. */
export type ContextNotice =
  | { readonly type: 'log'; readonly message: string }
  | { readonly type: 'progress'; readonly done: number; readonly total: number };

/**
 * A context whose notices always fit the protocol: an honest tool that logs an odd value must not
 * look like one that attacks the channel. Once the call has ended it says nothing more.
 */
export function createContext(
  signal: AbortSignal,
  notify: (notice: ContextNotice) => void,
): { readonly context: ToolContext; readonly end: () => void } {
  let isEnded = false;
  const say = (notice: ContextNotice): void => {
    if (!isEnded) notify(notice);
  };
  const context: ToolContext = {
    signal,
    log: (message) => say({ type: 'log', message: logText(message) }),
    progress: (done, total) => {
      if (!isCount(done) || !isCount(total)) {
        throw new TypeError('`progress` takes two numbers from 0 to 2^53-1');
      }
      say({ type: 'progress', done, total });
    },
  };
  const end = (): void => {
    isEnded = true;
  };
  return { context, end };
}

function logText(message: unknown): string {
  const text = String(message);
  return text.length <= LOG_CHARS_MAX
    ? text.toWellFormed()
    : text.slice(0, LOG_CHARS_MAX).toWellFormed();
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}
