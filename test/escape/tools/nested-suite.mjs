// Runs the attacks that `hardened` claims to stop in this very process's surroundings, and prints what
// the host offers and how many attacks were tried and got through.
import { startVitest } from 'vitest/node';
import { openHostTiers } from '../../../dist/src/isolation/index.js';

const [, , pattern] = process.argv;
const { runners, shortfalls } = await openHostTiers([]);
const tiers = runners.map(({ tier }) => tier);
const said = { tiers, shortfalls, passed: [], failed: [] };
if (pattern !== undefined) {
  const vitest = await startVitest('test', ['test/escape/escape.test.ts'], {
    config: false,
    watch: false,
    reporters: [{}],
    testNamePattern: new RegExp(pattern),
    testTimeout: 120_000,
    pool: 'forks',
  });
  const collect = (task) => {
    if (task.type === 'suite' || task.tasks !== undefined) task.tasks.forEach(collect);
    else if (task.result?.state === 'pass') said.passed.push(task.name);
    else if (task.result?.state === 'fail') said.failed.push(task.name);
  };
  for (const file of vitest.state.getFiles()) collect(file);
  await vitest.close();
}
process.stdout.write(`\nSAID ${JSON.stringify(said)}\n`);
process.exit(0);
