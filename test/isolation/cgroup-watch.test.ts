import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CallCgroup } from '../../src/isolation/cgroup-call.ts';
import { watchCgroup } from '../../src/isolation/cgroup-watch.ts';
import type { UsageBefore } from '../../src/isolation/limit-watch.ts';
import { confinement } from '../fixtures/job.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const CALM = { cpuMs: 0, memoryBytes: 0, peakMemoryBytes: 0, oomKills: 0, pidsMaxEvents: 0 };

/** A watch over a group whose counters a test sets. */
function watching(readUsage: CallCgroup['readUsage'], before?: UsageBefore) {
  const events: unknown[] = [];
  const group = { readUsage } as CallCgroup;
  const watch = watchCgroup(
    group,
    confinement({ cpuMs: 100 }).limits,
    (limit) => events.push(limit),
    (cause) => events.push(cause),
    before,
  );
  return { events, watch };
}

test.each([
  ['memory', { ...CALM, oomKills: 1 }],
  ['cpu', { ...CALM, cpuMs: 101 }],
])('reports a breach of %s once', (limit, usage) => {
  const { events } = watching(() => usage);
  vi.advanceTimersByTime(1000);
  expect(events).toEqual([limit]);
});

test('reports limits that were met and survived, and the largest values', () => {
  const usages = [
    { ...CALM, cpuMs: 50, memoryBytes: 0, peakMemoryBytes: 7, pidsMaxEvents: 1 },
    CALM,
  ];
  const { events, watch } = watching(() => usages.shift() ?? CALM);
  vi.advanceTimersByTime(300);
  expect(events).toEqual([]);
  expect(watch.limitsHit).toEqual(['processes']);
  expect(watch.peaks).toEqual({ cpuMs: 50, peakMemoryBytes: 7 });
});

test('looks a last time when it is stopped', () => {
  const { events, watch } = watching(() => ({ ...CALM, oomKills: 1 }));
  expect(watch.stop()).toBe('memory');
  vi.advanceTimersByTime(1000);
  expect(events).toEqual([]);
});

test('counters that cannot be read end the call, and not this process', () => {
  const failure = Object.assign(new Error('no descriptor'), { code: 'EMFILE' });
  const { events, watch } = watching(() => {
    throw failure;
  });
  vi.advanceTimersByTime(400);
  expect(events).toEqual([]);
  vi.advanceTimersByTime(600);
  expect(events).toEqual([failure]);
  expect(watch.stop()).toBeNull();
});

test('charges a call nothing of what its worker had used before', () => {
  const before = { ...CALM, cpuMs: 90, memoryBytes: 20, peakMemoryBytes: 50, pidsMaxEvents: 2 };
  const usages = [
    { ...before, cpuMs: 150, memoryBytes: 30 },
    { ...before, cpuMs: 180, memoryBytes: 25 },
  ];
  const { events, watch } = watching(() => usages.shift() ?? { ...before, cpuMs: 180 }, before);
  vi.advanceTimersByTime(300);
  expect(events).toEqual([]);
  expect(watch.limitsHit).toEqual([]);
  expect(watch.peaks).toEqual({ cpuMs: 90, peakMemoryBytes: 30 });
});

test('takes a peak that rose in the call for its own', () => {
  const before = { ...CALM, peakMemoryBytes: 50 };
  const { watch } = watching(() => ({ ...before, memoryBytes: 40, peakMemoryBytes: 60 }), before);
  vi.advanceTimersByTime(100);
  expect(watch.peaks.peakMemoryBytes).toBe(60);
});
