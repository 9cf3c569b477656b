// `npm run bench:start`: what a cold call costs at each tier, against a bare fork of Node, interleaved
// in one run; medians. It shows the cost of a start, not of a loaded machine or of a tool's imports.
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compilePolicy } from '../../dist/src/gate/index.js';
import { openHostTiers } from '../../dist/src/isolation/host-tiers.js';
import { resolveTarget } from '../../dist/src/isolation/tool-target.js';
import { loadPolicy } from '../../dist/src/policy/index.js';

const ROUNDS = Number(process.argv[2] ?? 25);
const WARM_UP = 3;

const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));
chmodSync(folder, 0o755);
const noop = join(folder, 'noop.mjs');
const forked = join(folder, 'forked.mjs');
writeFileSync(noop, 'export default () => 1;\n');
writeFileSync(forked, 'process.on("message", () => process.send(1));\nprocess.send("ready");\n');
// An inherited CA file doubles the start of the fork; a worker never inherits it.
delete process.env.NODE_EXTRA_CA_CERTS;

const { runners } = await openHostTiers([]);
const { confinement } = compilePolicy(await loadPolicy({ name: 'bench' })).rulesFor('noop');
const target = await resolveTarget(noop, { cwd: folder, searchPath: '', digests: new Map() });
const makeJob = () => ({
  callId: randomUUID(),
  tool: 'noop',
  target,
  argsJson: '{}',
  confinement,
  remainingMs: 30_000,
  stop: new AbortController().signal,
});

const sides = {
  'bare fork': () =>
    new Promise((resolve) => {
      const child = fork(forked);
      child.on('message', (message) => {
        if (message === 'ready') child.send('go');
        else child.kill('SIGKILL');
      });
      child.on('exit', resolve);
    }),
};
for (const runner of runners) {
  sides[runner.tier] = async () => {
    const { end } = await runner.run(makeJob());
    if (end.status !== 'ok') throw new Error(JSON.stringify(end));
  };
}

const times = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
  for (const [name, side] of Object.entries(sides)) {
    const began = performance.now();
    await side();
    if (round >= WARM_UP) times[name].push(performance.now() - began);
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const bare = median(times['bare fork']);
for (const [name, values] of Object.entries(times)) {
  const [fastest] = values.toSorted((a, b) => a - b);
  const own = median(values);
  console.log(
    `${name.padEnd(10)} median ${own.toFixed(1)} ms, fastest ${fastest.toFixed(1)} ms, ${(own / bare).toFixed(2)}x`,
  );
}
await Promise.all(runners.map((runner) => runner.close()));
rmSync(folder, { recursive: true });
process.exit();
