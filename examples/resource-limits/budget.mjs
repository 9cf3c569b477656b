// Ten calls at once, of 40 cents each, under a budget of one dollar.
import { createEnforcer } from 'enforcecore';

const enforcer = await createEnforcer({ policy: 'budget.yaml', audit: { path: 'trail' } });
const calls = Array.from({ length: 10 }, () => enforcer.run('./sleep.mjs', { ms: 1 }));
const outcomes = await Promise.all(calls);
for (const status of ['ok', 'denied']) {
  console.log(status, outcomes.filter((outcome) => outcome.status === status).length);
}
console.log(outcomes.find(({ status }) => status === 'denied')?.error.code);
await enforcer.close();
