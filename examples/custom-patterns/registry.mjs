// Where a pattern is not enough: a validator in code, for every call of an enforcer.
import { createEnforcer, PatternRegistry } from 'enforcecore';

const patterns = new PatternRegistry();
patterns.register({
  name: 'order_number',
  pattern: String.raw`\bORD-\d{8}\b`,
  // Ours have a check digit: the sum of all digits is a multiple of seven.
  validator: (text) => [...text.slice(4)].reduce((sum, digit) => sum + Number(digit), 0) % 7 === 0,
});

const enforcer = await createEnforcer({
  policy: 'policy.yaml',
  patterns,
  audit: { path: 'trail' },
});
const outcome = await enforcer.run('./echo.mjs', {
  text: 'ORD-10000006, ORD-10000007, EMP-123456',
});
console.log(outcome.value, outcome.redactions.byCategory);
await enforcer.close();
