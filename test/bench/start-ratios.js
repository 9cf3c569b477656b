// Part of `npm run bench`: what a call costs at each tier, cold and on a prepared worker, against a bare
// fork of Node and a fresh worker thread, interleaved in one run. It shows the cost of a start, not of
// a loaded machine or of a tool's imports. A warm call finds its worker ready: the pool is given the
// time to prepare one between the calls, which is not measured. `back to back` leaves it none: every
// call asks for the next worker, so that there it is the rate of starts that counts.
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compilePolicy } from '../../dist/src/gate/index.js';
import { openHostTiers } from '../../dist/src/isolation/host-tiers.js';
import { resolveTarget } from '../../dist/src/isolation/tool-target.js';
import { loadPolicy } from '../../dist/src/policy/index.js';

const ROUNDS = Number(process.argv[2] ?? 25);
const WARM_UP = 3;
const READY_MS_MAX = 5000;
const BOUNDS = { workersMax: 4, memoryMbMax: 512, idleMs: 600_000 };

const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));
chmodSync(folder, 0o755);
const noop = join(folder, 'noop.mjs');
const forked = join(folder, 'forked.mjs');
const threaded = join(folder, 'threaded.mjs');
writeFileSync(noop, 'export default () => 1;\n');
writeFileSync(forked, 'process.on("message", () => process.send(1));\nprocess.send("ready");\n');
writeFileSync(
  threaded,
  'import { parentPort } from "node:worker_threads";\nparentPort.once("message", () => parentPort.postMessage(1));\n',
);
// An inherited CA file doubles the start of the fork; a worker never inherits it.
delete process.env.NODE_EXTRA_CA_CERTS;

const { runners } = await openHostTiers([]);
const { confinement } = compilePolicy(await loadPolicy({ name: 'bench' })).rulesFor('noop');
const target = await resolveTarget(noop, { cwd: folder, searchPath: '', digests: new Map() });
const makeJob = (reuse = 1) => ({
  callId: randomUUID(),
  tool: 'noop',
  target,
  argsJson: '{}',
  confinement: { ...confinement, isolation: { ...confinement.isolation, reuse } },
  remainingMs: 30_000,
  stop: new AbortController().signal,
});

async function call(runner, job) {
  const { end } = await runner.run(job);
  if (end.status !== 'ok') throw new Error(JSON.stringify(end));
}

/** A side: what is measured, and what has to be there before. */
const sides = {
  'bare fork': {
    run: () =>
      new Promise((resolve) => {
        const child = fork(forked);
        child.on('message', (message) => {
          if (message === 'ready') child.send('go');
          else child.kill('SIGKILL');
        });
        child.on('exit', resolve);
      }),
  },
  'fresh thread': {
    run: async () => {
      const thread = new Worker(threaded);
      thread.postMessage('go');
      await new Promise((resolve) => thread.once('message', resolve));
      await thread.terminate();
    },
  },
};
const open = [...runners];
for (const runner of runners) {
  sides[`${runner.tier}, cold`] = { run: () => call(runner, makeJob()) };
  if (runner.tier === 'thread') continue;
  for (const [name, reuse] of [
    ['warm', 1],
    ['reused', 1000],
  ]) {
    const tiers = await openHostTiers([], BOUNDS);
    const pooled = tiers.runners.find(({ tier }) => tier === runner.tier);
    open.push(...tiers.runners);
    await call(pooled, makeJob(reuse));
    sides[`${runner.tier}, ${name}`] = {
      before: async () => {
        const until = performance.now() + READY_MS_MAX;
        while (tiers.pool.readyCount === 0) {
          if (performance.now() > until) throw new Error(`no worker is ready: ${runner.tier}`);
          await delay(2);
        }
        // The start of a worker is over for others, too.
        await delay(20);
      },
      run: () => call(pooled, makeJob(reuse)),
    };
  }
}

const times = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
  for (const [name, { before, run }] of Object.entries(sides)) {
    await before?.();
    const began = performance.now();
    await run();
    if (round >= WARM_UP) times[name].push(performance.now() - began);
  }
}

const backToBack = await openHostTiers([], BOUNDS);
open.push(...backToBack.runners);
for (const runner of backToBack.runners.filter(({ tier }) => tier !== 'thread')) {
  const name = `${runner.tier}, back to back`;
  times[name] = [];
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    const began = performance.now();
    await call(runner, makeJob());
    if (round >= WARM_UP) times[name].push(performance.now() - began);
  }
}

const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const fork50 = quantile(times['bare fork'], 0.5);
const thread50 = quantile(times['fresh thread'], 0.5);
console.log(`${'side'.padEnd(24)}     p50 ms     p99 ms   x fork  x thread`);
for (const [name, values] of Object.entries(times)) {
  const p50 = quantile(values, 0.5);
  const columns = [p50.toFixed(1), quantile(values, 0.99).toFixed(1)].map((x) => x.padStart(10));
  const ratios = [p50 / fork50, p50 / thread50].map((x) => x.toFixed(2).padStart(8));
  console.log(`${name.padEnd(24)} ${columns.join(' ')} ${ratios.join(' ')}`);
}
await Promise.all(open.map((runner) => runner.close()));
rmSync(folder, { recursive: true });
process.exit();
