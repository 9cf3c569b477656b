import { expect, test } from 'vitest';
import { decideUnder } from './requests.ts';

const TARGET = { kind: 'module', path: '/tools/other.mjs', sha256: 'b'.repeat(64) } as const;

test.each<[string, object, object]>([
  [
    'ENF_DENIED_TARGET',
    { tools: { pay: { target: { path: '/tools/pay.mjs', sha256: 'a'.repeat(64) } } } },
    {},
  ],
  [
    'ENF_DENIED_INPUT',
    { tools: { pay: { input_schema: { type: 'object', required: ['to'] } } } },
    {},
  ],
  ['ENF_DENIED_CONDITION', { conditions: ['args.amount < 500.0'] }, { amount: 900.5 }],
  [
    'ENF_DENIED_SEQUENCE',
    { sequence_rules: [{ tool: 'pay', requires_prior: { tool: 'get_approval', within: '10m' } }] },
    {},
  ],
])('a call is denied with %s', async (code, document, args) => {
  const control = await decideUnder({}, 'pay', args as never, { target: TARGET });
  expect(control.effect).toBe('allow');
  const { effect, reasons } = await decideUnder(document, 'pay', args as never, { target: TARGET });
  expect(effect).toBe('deny');
  expect(reasons.map((reason) => reason.code)).toContain(code);
});
