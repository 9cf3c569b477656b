import { expect, test } from 'vitest';
import type { Limits } from '../../src/call.ts';
import { groupSettings } from '../../src/isolation/cgroup-settings.ts';
import { readController } from '../../src/isolation/cgroup-usage.ts';

const OPTIONS = { ownTasks: 16, cpuWeight: 50, cpus: 1.5 };
const limits = (memoryBytes: number, processesMax: number) =>
  ({ memoryBytes, processesMax }) as Limits;
const values = (...args: Parameters<typeof groupSettings>) =>
  groupSettings(...args).map(({ file, value }) => `${file}=${value}`);

test('sets v2 so that the group dies whole and cannot swap', () => {
  expect(values(2, 'memory', limits(1000.5, 4), OPTIONS)).toEqual([
    'memory.max=1001',
    'memory.swap.max=0',
    'memory.oom.group=1',
  ]);
  expect(values(2, 'pids', limits(0, 4), OPTIONS)).toEqual(['pids.max=20']);
  expect(values(2, 'cpu', limits(0, 4), OPTIONS)).toEqual([
    'cpu.weight=50',
    'cpu.max=150000 100000',
  ]);
});

test('sets v1 in the order the kernel takes', () => {
  expect(values(1, 'memory', limits(4096, 4), OPTIONS)).toEqual([
    'memory.limit_in_bytes=4096',
    'memory.memsw.limit_in_bytes=4096',
    'memory.swappiness=0',
  ]);
  expect(values(1, 'pids', limits(0, 4), OPTIONS)).toEqual(['pids.max=20']);
  expect(values(1, 'cpu', limits(0, 4), OPTIONS)).toEqual([
    'cpu.shares=512',
    'cpu.cfs_quota_us=150000',
  ]);
  expect(values(1, 'cpuacct', limits(0, 4), OPTIONS)).toEqual([]);
});

test('writes `unlimited` as each version spells it', () => {
  const none = limits(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  const free = { ...OPTIONS, cpus: Number.POSITIVE_INFINITY };
  expect(values(2, 'memory', none, free)[0]).toBe('memory.max=max');
  expect(values(1, 'memory', none, free)[0]).toBe('memory.limit_in_bytes=-1');
  expect(values(2, 'pids', none, free)).toEqual(['pids.max=max']);
  expect(values(2, 'cpu', none, free)).toContain('cpu.max=max 100000');
  expect(values(1, 'cpu', none, free)).toContain('cpu.cfs_quota_us=-1');
});

test('asks for no less CPU time than the kernel can give', () => {
  expect(values(2, 'cpu', limits(0, 0), { ...OPTIONS, cpus: 0.0001 })).toContain(
    'cpu.max=1000 100000',
  );
  expect(values(1, 'cpu', limits(0, 0), { ...OPTIONS, cpuWeight: 0 })).toContain('cpu.shares=2');
});

test('names what is missing when the kernel cannot bound swap', () => {
  for (const version of [1, 2] as const)
    expect(
      groupSettings(version, 'memory', limits(1, 1), OPTIONS).filter(
        ({ optional }) => optional?.withoutIt === 'swap-unbounded',
      ),
    ).toHaveLength(1);
});

const read = (files: Record<string, string>) => (file: string) => files[file] ?? null;
const NOTHING = { cpuMs: 0, memoryBytes: 0, peakMemoryBytes: 0, oomKills: 0, pidsMaxEvents: 0 };

test.each([
  [
    2,
    'memory',
    { 'memory.peak': '9\n', 'memory.events': 'oom 1\noom_kill 3\noom_group_kill 1\n' },
    { peakMemoryBytes: 9, oomKills: 3 },
  ],
  [
    2,
    'memory',
    { 'memory.current': '7\n', 'memory.events': 'oom_group_kill 1\n' },
    { memoryBytes: 7, peakMemoryBytes: 7, oomKills: 1 },
  ],
  [2, 'cpu', { 'cpu.stat': 'usage_usec 2500\nuser_usec 1\n' }, { cpuMs: 2.5 }],
  [2, 'pids', { 'pids.events': 'max 27\n' }, { pidsMaxEvents: 27 }],
  [
    1,
    'memory',
    {
      'memory.usage_in_bytes': '4\n',
      'memory.max_usage_in_bytes': '9\n',
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    },
    { memoryBytes: 4, peakMemoryBytes: 9, oomKills: 2 },
  ],
  [1, 'cpuacct', { 'cpuacct.usage': '1500000\n' }, { cpuMs: 1.5 }],
  [1, 'cpu', { 'cpu.stat': 'nr_periods 1\n' }, {}],
  [1, 'pids', { 'pids.events': 'max 1\n' }, { pidsMaxEvents: 1 }],
  [2, 'memory', {}, {}],
  [2, 'pids', { 'pids.events': 'maximum 5\nmax\n' }, {}],
  [1, 'cpuacct', { 'cpuacct.usage': 'many\n' }, {}],
] as const)('reads the counters of v%i `%s`: %j', (version, controller, files, expected) => {
  expect(readController(version, controller, read(files))).toEqual({ ...NOTHING, ...expected });
});
