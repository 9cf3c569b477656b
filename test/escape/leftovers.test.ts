import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type { Tier } from '../../src/call.ts';
import { Attempt, tool } from './attempt.ts';
import { SPAWNING } from './cases/processes.ts';
import { probeTestHost, runnersOf } from './host-runners.ts';
import { ProcessFinder } from './process-finder.ts';

// Many calls, ended by force or by themselves, leave nothing: no process, group, scratch or socket,
// and no growth of the supervisor.

const isSlow = process.env['ENFORCECORE_TEST_SLOW'] === '1';
/** A soak can be run in pieces: `ENFORCECORE_TEST_KILLS=100`, and `ENFORCECORE_TEST_CALLS`. */
const countOf = (name: string, soak: number): number =>
  Number(process.env[`ENFORCECORE_TEST_${name}`] ?? (isSlow ? soak : 30));
const KILLS = countOf('KILLS', 1000);
const CALLS = countOf('CALLS', 10_000);
/** After the end of a call, nothing of it runs. */
const LEFT_MS_MAX = 100;
const AT_ONCE = 5;
const MB = 2 ** 20;

const host = await probeTestHost();
const runners = runnersOf(host);
afterAll(() => Promise.all([...runners.values()].map((runner) => runner.close())));

/** Forks twice, leaves its session, and traps what can be trapped, in a loop until it is killed. */
const STUBBORN = `
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(name, () => {});
  const loop = "trap '' TERM HUP INT QUIT; while :; do sleep 5; done # " + a.token;
  child_process.spawn('/usr/bin/sh', ['-c', '(setsid sh -c "$1" </dev/null >/dev/null 2>&1 &) &', 'sh', loop], { stdio: 'ignore', detached: true });
  child_process.spawn('/usr/bin/sleep', ['300'], { argv0: a.token, detached: true, stdio: 'inherit' });
  await new Promise(() => setInterval(() => {}, 1e6))`;

const ownScratch = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`enforcecore-${process.pid}-`));
const ownGroups = (): readonly string[] =>
  'cause' in host
    ? []
    : host.cgroups.hierarchies
        .flatMap(({ folder }) => readdirSync(folder))
        .filter((name) => name.startsWith('enforcecore-') && name.includes(`-${process.pid}-`));
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const groupsOfKernel = (): number =>
  readFileSync('/proc/cgroups', 'utf8')
    .split('\n')
    .filter((line) => /^\w/.test(line))
    .map((line) => Number(line.split('\t')[2]))
    .reduce((sum, count) => sum + count, 0);

/** For people: what else the machine had to do is in it. */
function summary(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(sorted[Math.floor(share * sorted.length)] ?? 0)}`;
  return `switch to report (${times.length}): median ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

describe.each(['hardened', 'isolated'] as const)('%s', (tier: Tier) => {
  const runner = runners.get(tier);
  if (runner === undefined) {
    test.skip('does not work on this host', () => {});
    return;
  }

  async function inParallel(count: number, body: () => Promise<void>): Promise<void> {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await body();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  /** How long a call takes here when others run beside it. */
  async function slowestStart(on: Attempt): Promise<number> {
    const times: number[] = [];
    await inParallel(2 * AT_ONCE, async () => {
      const began = performance.now();
      await on.run(tool('run-code.mjs'), { code: 'return 1' });
      times.push(performance.now() - began);
    });
    return Math.max(...times);
  }

  test(
    `${KILLS} tools that will not die are killed at their deadline, and nothing is left`,
    async () => {
      const on = new Attempt(tier, runner, { mayRefuse: true });
      const finder = new ProcessFinder();
      const kills: string[] = [];
      const switched: number[] = [];
      let refused = 0;
      let seen = 0;
      try {
        // Late enough for the tool to have started its children, however busy the machine is.
        const startMs = Math.max(400, await slowestStart(on));
        const looking = setInterval(() => {
          seen = Math.max(seen, on.alive().length);
        }, 200);
        await inParallel(KILLS, async () => {
          const limits = { wallMs: startMs * (1.3 + Math.random() / 2) };
          const policy = { ...SPAWNING, limits };
          const token = `${on.token}-${kills.length + refused}-${randomUUID()}`;
          // Half of them by the switch, whose time is known exactly.
          const bySwitch = (kills.length + refused) % 2 === 0;
          const { report, stop } = await on.start(
            tool('run-code.mjs'),
            { code: STUBBORN, token },
            bySwitch ? { ...policy, limits: { wallMs: 10 * limits.wallMs } } : policy,
          );
          const isOver = report.then(() => true);
          const isEarly = bySwitch && (await Promise.race([isOver, delay(limits.wallMs, false)]));
          const began = performance.now();
          if (bySwitch && !isEarly) stop();
          const { end } = await report;
          if (end.status === 'isolation-unavailable') {
            refused += 1;
            return;
          }
          if (bySwitch) switched.push(performance.now() - began);
          kills.push(bySwitch ? 'killed' : 'timeout');
          expect(end).toMatchObject({ status: kills.at(-1) });
          await delay(LEFT_MS_MAX);
          expect(finder.find(token)).toEqual([]);
        });
        process.stderr.write(`${tier}: ${kills.length} kills, ${summary(switched)}\n`);
        clearInterval(looking);
        expect(on.alive()).toEqual([]);
        expect(ownScratch()).toEqual([]);
        expect(ownGroups()).toEqual([]);
        // Without a group or a user of its own, `hardened` must not let a tool start processes at all.
        expect([0, KILLS]).toContain(refused);
        // A daemon besides the workers was there to be killed.
        if (refused === 0) expect(seen).toBeGreaterThan(AT_ONCE);
      } finally {
        on.clean();
      }
    },
    isSlow ? 3_600_000 : 180_000,
  );

  test(
    `${CALLS} calls leave the supervisor as it was`,
    async () => {
      const on = new Attempt(tier, runner);
      const call = async (): Promise<void> => {
        const { end } = await on.run(tool('run-code.mjs'), {
          code: 'fs.writeFileSync("f", "x".repeat(1e5)); return 1',
        });
        expect(end).toEqual({ status: 'ok', value: 1 });
      };
      try {
        await inParallel(20, call);
        const before = {
          rss: process.memoryUsage().rss,
          descriptors: descriptors(),
          groups: groupsOfKernel(),
        };
        await inParallel(CALLS, call);
        await delay(100);
        expect(descriptors() - before.descriptors).toBeLessThan(8);
        expect(process.memoryUsage().rss - before.rss).toBeLessThan(100 * MB);
        // Others on this machine make groups, too: a leak is one per call and controller.
        expect(groupsOfKernel() - before.groups).toBeLessThan(Math.max(100, CALLS / 4));
        expect(ownScratch()).toEqual([]);
        expect(ownGroups()).toEqual([]);
      } finally {
        on.clean();
      }
    },
    isSlow ? 3_600_000 : 180_000,
  );
});
