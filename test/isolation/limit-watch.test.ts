import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import {
  breachOf,
  type LimitWatch,
  pauseAfter,
  watchLimits,
} from '../../src/isolation/limit-watch.ts';
import { type ProcessEntry, readProcessTable } from '../../src/isolation/process-table.ts';
import { ProcessTree } from '../../src/isolation/process-tree.ts';
import { confinement } from '../fixtures/job.ts';
import { eventually } from '../fixtures/observe.ts';

const LIMITS = confinement({ memoryBytes: 1000, processesMax: 2, cpuMs: 500 }).limits;

describe('breachOf', () => {
  test.each([
    ['nothing at its limits', { memoryBytes: 1000, processes: 3, cpuMs: 500 }, null],
    ['memory', { memoryBytes: 1001, processes: 3, cpuMs: 500 }, 'memory'],
    [
      'processes, the worker itself not counted',
      { memoryBytes: 0, processes: 4, cpuMs: 0 },
      'processes',
    ],
    ['CPU time', { memoryBytes: 0, processes: 1, cpuMs: 501 }, 'cpu'],
    ['the most telling one of several', { memoryBytes: 2000, processes: 9, cpuMs: 900 }, 'memory'],
    ['nothing when all are gone', { memoryBytes: 0, processes: 0, cpuMs: 0 }, null],
  ] as const)('sees %s', (_what, sample, limit) => {
    expect(breachOf(sample, LIMITS)).toBe(limit);
  });

  test('sees no breach of unlimited limits', () => {
    const sample = { memoryBytes: 2 ** 50, processes: 2 ** 20, cpuMs: 2 ** 40 };
    expect(breachOf(sample, confinement().limits)).toBeNull();
  });
});

describe('watchLimits', () => {
  let watch: LimitWatch | undefined;
  afterEach(() => watch?.stop());

  /** Watches a table of one's own. */
  function watchTable(read: () => readonly ProcessEntry[], limits = LIMITS) {
    const events: unknown[] = [];
    let looks = 0;
    const tree = new ProcessTree(10, async () => {
      looks += 1;
      return read();
    });
    watch = watchLimits(
      tree,
      limits,
      (limit) => events.push(limit),
      (cause) => events.push(cause),
    );
    return { events, looks: () => looks };
  }

  const row = (pid: number, endedChildrenCpuMs = 0) => ({
    pid,
    parentPid: 1,
    groupId: 10,
    startedAt: '1',
    isZombie: false,
    endedChildrenCpuMs,
  });

  test('reports a breach once and looks no more', async () => {
    const { events, looks } = watchTable(() => [
      row(10),
      row(2 ** 30),
      row(2 ** 30 + 1),
      row(2 ** 30 + 2),
    ]);
    await eventually(() => events.length > 0);
    expect(events).toEqual(['processes']);
    expect(looks()).toBe(1);
  });

  test('counts the CPU time of children that ended', async () => {
    const { events } = watchTable(() => [row(2 ** 30, 501)], { ...LIMITS, memoryBytes: 2 ** 40 });
    await eventually(() => events.length > 0);
    expect(events).toEqual(['cpu']);
  });

  test('does not take a table it cannot read for an empty one', async () => {
    const failure = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    const { events, looks } = watchTable(() => {
      throw failure;
    });
    await eventually(() => events.length > 0);
    expect(events).toEqual([failure]);
    expect(looks()).toBe(5);
  });

  test('forgives a look that fails now and then', async () => {
    let looks = 0;
    const { events } = watchTable(() => {
      looks += 1;
      if (looks % 3 !== 0) throw new Error('busy');
      return looks < 9 ? [row(2 ** 30)] : [row(2 ** 30, 1000)];
    });
    await eventually(() => events.length > 0);
    expect(events).toEqual(['cpu']);
  });

  test('reports nothing once it is stopped, also in the middle of a look', async () => {
    let answer: (rows: readonly ProcessEntry[]) => void = () => {};
    let isAsked = false;
    const tree = new ProcessTree(10, () => {
      isAsked = true;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const events: unknown[] = [];
    watch = watchLimits(
      tree,
      LIMITS,
      (limit) => events.push(limit),
      (cause) => events.push(cause),
    );
    await eventually(() => isAsked);
    watch.stop();
    answer([row(10), row(11), row(12), row(13), row(14)]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual([]);
  });

  test('measures the memory and the CPU time of a real process', async () => {
    const script = 'const kept = Buffer.alloc(80 << 20, 1); for (;;) kept[0]++;';
    const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    const events: unknown[] = [];
    const tree = new ProcessTree(child.pid ?? 0, readProcessTable);
    watch = watchLimits(
      tree,
      confinement({ cpuMs: 400 }).limits,
      (limit) => events.push(limit),
      (cause) => events.push(cause),
    );
    try {
      await eventually(() => events.length > 0);
      expect(events).toEqual(['cpu']);
      expect(watch.peaks.cpuMs).toBeGreaterThan(400);
      expect(watch.peaks.peakMemoryBytes).toBeGreaterThan(80 << 20);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the pause between two looks', () => {
  test.each([
    ['a short look', 1, 100],
    ['a long one', 20, 200],
    ['one on a host that a tool keeps busy', 2000, 400],
  ])('after %s (%i ms) is %i ms', (_what, lookMs, pauseMs) => {
    expect(pauseAfter(lookMs)).toBe(pauseMs);
  });
});
