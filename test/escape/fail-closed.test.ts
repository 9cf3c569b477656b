import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createEnforcer } from '../../src/enforce/index.ts';
import { chooseRunner } from '../../src/isolation/choose-runner.ts';
import { identitiesFor, type LinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import type { Runner } from '../../src/isolation/runner.ts';
import { findGap } from '../../worker/confinement-check.ts';
import { confinement, makeJob } from '../fixtures/job.ts';
import { Attempt, tool } from './attempt.ts';
import { probeTestHost, runnersOf } from './host-runners.ts';

// A host that is not what it seems, and policies that nobody could enforce: nothing of the tool runs.
// The tool would tell: it writes to a file that every user may write, at a tier that lets it.

const found = await probeTestHost();
const host = 'cause' in found ? null : found;
const runners = runnersOf(found);
afterAll(() => Promise.all([...runners.values()].map((runner) => runner.close())));

/** Whether the tool ran: it prints the canary, which is the only thing it can still do. */
async function runs(runner: Runner): Promise<{ readonly ran: boolean; readonly status: string }> {
  const on = new Attempt(runner.tier as 'hardened' | 'isolated', runner, { mayRefuse: true });
  try {
    const code = 'fs.writeSync(1, a.canary); return a.canary';
    const report = await on.run(tool('run-code.mjs'), { code, canary: on.canary });
    return { ran: JSON.stringify(report).includes(on.canary), status: report.end.status };
  } finally {
    on.clean();
    await runner.close();
  }
}

const REFUSED = { ran: false, status: 'isolation-unavailable' };

describe.skipIf(host === null)('a host that lacks a layer at the moment of the call', () => {
  const real = host as LinuxHost;
  const runner = (changes: Partial<LinuxHost>, tier: 'hardened' | 'isolated' = 'hardened') =>
    new LinuxRunner(tier, { ...real, ...changes });

  test('runs the tool when nothing is missing', async () => {
    expect(await runs(runner({}))).toEqual({ ran: true, status: 'ok' });
  });

  test('fc-01: does not run a tool whose control group cannot be made', async () => {
    const hierarchies = [{ version: 1, controllers: ['pids'], folder: '/nonexistent' }] as const;
    const cgroups = { works: true, hierarchies, layers: ['cgroup-pids'], shortfall: null };
    expect(await runs(runner({ cgroups }))).toEqual(REFUSED);
  });

  test('fc-01: does not run a tool that could not join its group', async () => {
    // A folder of the right name that is no group: the launcher's row fails.
    const hierarchies = [{ version: 1, controllers: [], folder: '/tmp' }] as const;
    const cgroups = { works: true, hierarchies, layers: [], shortfall: null };
    expect(await runs(runner({ cgroups }))).toEqual(REFUSED);
  });

  test('fc-02, fc-08: does not run a tool in a bubblewrap that is none', async () => {
    expect(await runs(runner({ bubblewrap: '/usr/bin/true' }, 'isolated'))).toEqual(REFUSED);
    expect(await runs(runner({ bubblewrap: '/nonexistent' }, 'isolated'))).toEqual(REFUSED);
  });

  test('fc-03: does not run a tool under a filter of another architecture', async () => {
    const other = real.launcher.architecture === 'x64' ? 'arm64' : 'x64';
    const launcher = { ...real.launcher, path: real.launcher.path, architecture: other } as const;
    const { ran } = await runs(runner({ launcher }));
    expect(ran).toBe(false);
  });

  test('fc-04: does not run a tool under Landlock rules that the kernel does not know', async () => {
    expect(await runs(runner({ landlockAbi: 99 }))).toMatchObject({ ran: false });
  });

  test('fc-07: does not run a tool as root, not even without capabilities', () => {
    const all = '0 0 4294967295';
    const taken = {
      ...{ uidMap: all, gidMap: all, subuid: 'a:1:4294967294', subgid: '' },
      ...{ kernelUid: null, capabilities: ~0n },
    };
    expect(identitiesFor(0, taken, '/nonexistent')).toHaveProperty('cause');
    expect(identitiesFor(1000, taken, '/nonexistent')).toBeNull();
    // Root of a rootless container is an ordinary user outside.
    expect(identitiesFor(0, { ...taken, uidMap: '0 1000 1' }, '/nonexistent')).toBeNull();
  });

  test('does not keep user ids in a folder that others may write, or that is a link', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ids-'));
    const all = '0 0 4294967295';
    const ids = { uidMap: all, gidMap: all, subuid: '', subgid: '', kernelUid: null };
    const tables = { ...ids, capabilities: ~0n };
    try {
      symlinkSync(folder, join(folder, 'link'));
      mkdirSync(join(folder, 'open'));
      chmodSync(join(folder, 'open'), 0o777);
      expect(identitiesFor(0, tables, join(folder, 'link'))).toHaveProperty('cause');
      expect(identitiesFor(0, tables, join(folder, 'open'))).toHaveProperty('cause');
      expect(identitiesFor(0, tables, join(folder, 'own'))).not.toHaveProperty('cause');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('fc-07: does not load a tool into a worker that kept capabilities', () => {
    const status = (capabilities: string): string =>
      [
        ...['NoNewPrivs:\t1', 'Seccomp:\t2', 'Uid:\t5\t5\t5\t5'],
        ...['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((name) => `${name}:\t${capabilities}`),
      ].join('\n');
    expect(findGap(status('0000000000000000'), { uid: 5 })).toBeNull();
    expect(findGap(status('0000000000000001'), { uid: 5 })).toContain('capabilities');
  });
});

describe('a policy that asks for what the host lacks', () => {
  const target = async () => (await makeJob(tool('run-code.mjs'))).target;
  const asking = (isolation: object) => ({
    ...confinement(),
    isolation: { ...confinement().isolation, ...isolation },
    explicit: new Set(['isolation.level', 'isolation.min', 'isolation.require']),
  });

  test('fc-02: is refused with cause and remedy, never run at a weaker tier', async () => {
    const weak = [...runners.values()].filter(({ tier }) => tier !== 'isolated');
    const shortfalls = [{ tier: 'isolated', cause: 'no bwrap', remedy: 'install it' }] as const;
    for (const isolation of [{ level: 'isolated' }, { min: 'isolated' }]) {
      const choice = chooseRunner(weak, await target(), asking(isolation), shortfalls);
      expect(choice).toMatchObject({ cause: 'no bwrap', remedy: 'install it' });
    }
    expect(
      chooseRunner(weak, await target(), asking({ min: 'process' }), shortfalls),
    ).toHaveProperty('runner');
  });

  test('fc-01: is refused when it requires a layer that is not there', async () => {
    const choice = chooseRunner(
      [...runners.values()],
      await target(),
      asking({ require: ['cgroup-of-the-moon'] }),
    );
    expect(choice).toHaveProperty('cause');
  });

  test('node-11: never gets a thread unless it names it', async () => {
    const threads = [...runners.values()].filter(({ tier }) => tier === 'thread');
    expect(chooseRunner(threads, await target(), asking({}))).toHaveProperty('cause');
    expect(chooseRunner(threads, await target(), asking({ level: 'thread' }))).toHaveProperty(
      'runner',
    );
  });
});

describe('what is wrong before anything runs', () => {
  test.each([
    ['a limit that is no number', { resource_limits: { max_memory_mb: 'lots' } }],
    ['a limit that is NaN', { resource_limits: { max_cpu_seconds: Number.NaN } }],
    ['a negative limit', { resource_limits: { max_processes: -1 } }],
    ['a key that nobody knows', { resource_limits: { max_memory: 5 } }],
    ['a tier that does not exist', { isolation: { level: 'fortress' } }],
  ])('fc-05: refuses a policy with %s', async (_what, part) => {
    const policy = { name: 'broken', version: '1.0', ...part };
    await expect(createEnforcer({ policy, audit: false })).rejects.toMatchObject({
      code: expect.stringMatching(/^ENF_POLICY/),
    });
  });

  test('fc-06: refuses calls that it cannot record', async () => {
    const policy = { name: 'recorded', version: '1.0', audit: { required: true } };
    await expect(createEnforcer({ policy, audit: { path: '/dev/null/trail' } })).rejects.toThrow();
    await expect(createEnforcer({ policy, audit: false })).rejects.toMatchObject({
      code: 'ENF_AUDIT_REQUIRED',
    });
    expect(existsSync('/dev/null/trail')).toBe(false);
  });
});
