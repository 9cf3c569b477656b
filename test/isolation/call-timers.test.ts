import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CallTimers } from '../../src/isolation/call-timers.ts';
import type { Job } from '../../src/isolation/runner.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** What happens when, for a call with this much time left. */
function armed(remainingMs: number) {
  const events: [string, number][] = [];
  const began = Date.now();
  const timers = new CallTimers();
  timers.armDeadline({ remainingMs } as Job, {
    warn: (reason) => events.push([reason, Date.now() - began]),
    expire: () => events.push(['over', Date.now() - began]),
  });
  return { events, timers };
}

test.each([
  [10_000, 9800],
  [2000, 1800],
  [1000, 900],
  [100, 90],
])('warns of a deadline in %i ms after %i ms', (remainingMs, warnedMs) => {
  const { events } = armed(remainingMs);
  vi.advanceTimersByTime(remainingMs);
  expect(events).toEqual([
    ['the deadline is near', warnedMs],
    ['over', remainingMs],
  ]);
});

test.each([0, -5000])('ends a call at once that has %i ms left', (remainingMs) => {
  const { events } = armed(remainingMs);
  vi.advanceTimersByTime(1);
  expect(events.map(([what]) => what)).toContain('over');
});

test.each([Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 40])(
  'does not take %s ms for no time, as setTimeout would',
  (remainingMs) => {
    const { events } = armed(remainingMs);
    vi.advanceTimersByTime(60_000);
    expect(events).toEqual([]);
  },
);

test('does nothing more once it is cleared', () => {
  const { events, timers } = armed(1000);
  timers.clear();
  vi.advanceTimersByTime(5000);
  expect(events).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
