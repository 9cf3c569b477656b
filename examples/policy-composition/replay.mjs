// Decides recorded calls by a policy, without running anything.
import { readFileSync } from 'node:fs';
import { dryRun } from 'enforcecore';

const calls = readFileSync('calls.jsonl', 'utf8').trim().split('\n').map(JSON.parse);
const counts = { allow: 0, deny: 0 };
for await (const { tool, decision } of dryRun(calls, 'team.yaml')) {
  counts[decision.effect] += 1;
  const why = decision.reasons.map(({ rule }) => rule).join(', ');
  console.log(`${tool.padEnd(11)} ${decision.effect.padEnd(6)} ${why}`.trimEnd());
}
console.log(counts);
