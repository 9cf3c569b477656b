import type { Refusal, WindowReservation } from './reservation.ts';

/** What one grant put into a window, and when, in milliseconds of the store's clock. */
export interface WindowEntry {
  readonly at: number;
  readonly amount: number;
  readonly grantId: string;
}

/** The entries of one key, oldest first. */
export interface Window {
  readonly windowMs: number;
  readonly entries: readonly WindowEntry[];
}

export const EMPTY_WINDOW: Window = { windowMs: 0, entries: [] };

/**
 * So many entries are kept one by one; beyond, those of one thousandth of the window are joined
 * under the time of the latest. That can only refuse more, for a thousandth longer, never less.
 */
const EXACT_MAX = 1000;
const BUCKETS = 1000;

/**
 * Refuses an amount that would lift the sum over the last `windowMs` above the maximum.
 *
 * INVARIANT: no interval of length `windowMs` ever holds more than `amountMax`; an entry leaves
 * exactly `windowMs` after it came.
 */
export function refuseWindow(
  window: Window,
  reservation: WindowReservation,
  now: number,
): Refusal | null {
  const { amount, amountMax, windowMs } = reservation;
  const live = window.entries.filter(({ at }) => at > now - windowMs);
  const used = sumOf(live);
  if (used + amount <= amountMax) return null;
  const retryAfterMs = waitFor(live, reservation, used, now);
  const seconds = windowMs / 1000;
  return {
    reservation,
    reason: {
      rule: reservation.rule,
      code: 'ENF_DENIED_RATE',
      message: `${used} of at most ${amountMax} are used within ${seconds} s, the call needs ${amount}`,
    },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The window with one more amount, without what has expired. */
export function addToWindow(
  window: Window,
  { amount, windowMs }: WindowReservation,
  grantId: string,
  now: number,
): Window {
  const span = Math.max(window.windowMs, windowMs);
  const live = window.entries.filter(({ at }) => at > now - span);
  const last = live.at(-1);
  const bucketMs = windowMs / BUCKETS;
  const isSameBucket =
    last !== undefined && Math.floor(last.at / bucketMs) === Math.floor(now / bucketMs);
  if (live.length < EXACT_MAX || !isSameBucket) {
    return { windowMs: span, entries: [...live, { at: now, amount, grantId }] };
  }
  const joined = { at: now, amount: last.amount + amount, grantId };
  return { windowMs: span, entries: [...live.slice(0, -1), joined] };
}

/** The window without what a grant put there. */
export function withoutGrant(window: Window, grantId: string, amount: number): Window {
  const entries = window.entries.flatMap((entry) => {
    if (entry.grantId !== grantId) return [entry];
    const left = entry.amount - amount;
    return left > 0 ? [{ ...entry, amount: left }] : [];
  });
  return { ...window, entries };
}

/** True when nothing in the window can matter any more. */
export function isExpired(window: Window, now: number): boolean {
  return window.entries.every(({ at }) => at <= now - window.windowMs);
}

function sumOf(entries: readonly WindowEntry[]): number {
  return entries.reduce((sum, { amount }) => sum + amount, 0);
}

/** How long until enough has left the window; undefined when the amount alone is too large. */
function waitFor(
  live: readonly WindowEntry[],
  { amount, amountMax, windowMs }: WindowReservation,
  used: number,
  now: number,
): number | undefined {
  let left = used;
  for (const entry of live) {
    left -= entry.amount;
    if (left + amount <= amountMax) return Math.max(1, Math.ceil(entry.at + windowMs - now));
  }
  return undefined;
}
