import type { Job } from './runner.ts';

/** `context.signal` fires this share of the limit before the deadline, at most {@link WARNING_MS_MAX}. */
const WARNING_SHARE = 0.1;
const WARNING_MS_MAX = 200;
/** How long `context.signal` has fired before a caller's abort becomes a kill. */
export const ABORT_GRACE_MS = 100;
/** Longest delay of setTimeout (24 days); a limit beyond it is no limit. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What happens on time, seen from the supervisor. */
export interface DeadlineActions {
  /** Tell the tool; it may still end well. */
  warn(reason: string): void;
  /** The time is over: end it. */
  expire(): void;
}

/** Timers of one call; `clear` once it has ended. */
export class CallTimers {
  readonly #timers: NodeJS.Timeout[] = [];

  /** Arms the wall-clock limit and the warning before it. */
  armDeadline({ remainingMs }: Job, actions: DeadlineActions): void {
    const warningMs = Math.min(WARNING_MS_MAX, remainingMs * WARNING_SHARE);
    this.after(remainingMs, () => actions.expire());
    this.after(remainingMs - warningMs, () => actions.warn('the deadline is near'));
  }

  after(delayMs: number, action: () => void): void {
    if (delayMs <= TIMER_MS_MAX) this.#timers.push(setTimeout(action, Math.max(0, delayMs)));
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
