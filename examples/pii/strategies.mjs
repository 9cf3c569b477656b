// The engine as a function: the same rules, without a tool.
import { createRedactor, detect } from 'enforcecore';

const text = 'Ann <ann@example.com>, card 4111 1111 1111 1111';

for (const strategy of ['placeholder', 'mask', 'hash', 'remove']) {
  const redactor = createRedactor({ pii_redaction: { strategy, salt: 'keep this secret' } });
  console.log(strategy.padEnd(12), redactor.redactText(text).value);
}

for (const { category, start, end } of await detect(text, { pii_redaction: {} })) {
  console.log(category.padEnd(12), start, end);
}
