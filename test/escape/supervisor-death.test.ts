import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type { Tier } from '../../src/call.ts';
import { sweepCgroups } from '../../src/isolation/cgroup.ts';
import { sweepUsers } from '../../src/isolation/kill-user.ts';
import type { LinuxHost } from '../../src/isolation/linux-host.ts';
import { sweepScratch } from '../../src/isolation/scratch.ts';
import { eventually, isRunning } from '../fixtures/observe.ts';
import { startApart } from './apart.ts';
import { Attempt, type Policy, tool } from './attempt.ts';
import { SPAWNING } from './cases/processes.ts';
import { probeTestHost, runnersOf } from './host-runners.ts';

// `kill -9` of the supervisor while a call starts, runs and ends: what promises containment has
// killed everything by itself, and the next start sweeps the rest.

const host = await probeTestHost();
const runners = runnersOf(host);
afterAll(() => Promise.all([...runners.values()].map((runner) => runner.close())));

/** Of the whole call, in milliseconds after the supervisor says that it began. */
const MOMENTS = [0, 5, 15, 30, 60, 120, 300];
const GONE_MS_MAX = 5000;

const FAMILY = `child_process.spawn('/usr/bin/sleep', ['300'], { argv0: a.token, stdio: 'ignore', detached: true });
  child_process.spawn('/usr/bin/sh', ['-c', 'setsid sleep 300 # ' + a.token], { stdio: 'ignore' });
  await new Promise(() => setInterval(() => {}, 1e6))`;

async function killSupervisor(on: Attempt, afterMs: number, policy: Policy): Promise<void> {
  const apart = startApart(on, tool('run-code.mjs'), { code: FAMILY }, { policy });
  await apart.started;
  await delay(afterMs);
  apart.child.kill('SIGKILL');
  await apart.report;
}

/** Where a pid namespace or `strict` without new processes contains, nothing needs a sweep. */
const PROMISES: readonly (readonly [Tier, string, Policy])[] = [
  ['isolated', 'with children', SPAWNING],
  ['isolated', 'without', {}],
  ['hardened', 'without', {}],
];

describe.each(PROMISES)('%s, %s', (tier, _what, policy) => {
  const runner = runners.get(tier);
  test.skipIf(runner === undefined)(
    'leaves nothing running when the supervisor is killed',
    async () => {
      if (runner === undefined) return;
      for (const moment of MOMENTS) {
        const on = new Attempt(tier, runner);
        try {
          await killSupervisor(on, moment, { ...policy, limits: { wallMs: 60_000 } });
          await eventually(() => on.alive().length === 0, GONE_MS_MAX);
        } finally {
          on.clean();
        }
      }
    },
  );
});

test('an unprotected child outlives its supervisor', async () => {
  const runner = runners.get('process');
  if (runner === undefined) throw new Error('there is always one');
  const on = new Attempt('unprotected', runner);
  try {
    const apart = startApart(on, tool('run-code.mjs'), { code: FAMILY });
    await eventually(() => on.alive().length >= 2);
    apart.child.kill('SIGKILL');
    await apart.report;
    await delay(300);
    expect(on.alive().length).toBeGreaterThan(0);
  } finally {
    on.clean();
  }
});

/** Ways in which the next start finds what a killed supervisor left. */
const SWEEPS: readonly (readonly [string, boolean, (host: LinuxHost) => Promise<unknown>])[] = [
  [
    'control groups',
    !('cause' in host) && host.cgroups.works,
    (found) => sweepCgroups(found.cgroups.hierarchies),
  ],
  [
    'users of calls',
    !('cause' in host) && host.identities !== null,
    async (found) => found.identities && sweepUsers(found.launcher, found.identities),
  ],
];

describe.each(SWEEPS)('the next start sweeps by %s', (_by, works, sweep) => {
  test.skipIf(!works)(
    'what a killed supervisor left running, with its groups and scratch',
    async () => {
      const runner = runners.get('hardened');
      if (runner === undefined || 'cause' in host) throw new Error('checked above');
      const on = new Attempt('hardened', runner);
      try {
        const policy = { ...SPAWNING, limits: { wallMs: 60_000 } };
        const apart = startApart(on, tool('run-code.mjs'), { code: FAMILY }, { policy });
        await eventually(() => on.alive().length >= 2);
        apart.child.kill('SIGKILL');
        await apart.report;
        await sweep(host);
        await eventually(() => on.alive().length === 0, GONE_MS_MAX);
        // The rest of a start.
        for (const [, also, rest] of SWEEPS) if (also) await rest(host);
        await sweepScratch(tmpdir(), isRunning);
        const groups = host.cgroups.hierarchies.flatMap(({ folder }) => readdirSync(folder));
        expect(groups.filter((name) => name.includes(`-${apart.pid}-`))).toEqual([]);
        const scratch = readdirSync(tmpdir());
        expect(scratch.filter((name) => name.startsWith(`enforcecore-${apart.pid}-`))).toEqual([]);
      } finally {
        on.clean();
      }
    },
  );
});
