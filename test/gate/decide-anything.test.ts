import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json } from '../../src/call.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { decide } from '../../src/gate/index.ts';
import { compiled, requestFor } from './requests.ts';

/** Every kind of rule at once. */
const EVERYTHING = {
  allowed_tools: ['*'],
  denied_tools: ['bad_*'],
  conditions: ['!has(args.n) || args.n < 5.0'],
  sequence_rules: [
    { tool: 'pay', sum: 'args.n', max: 10, within: '1h' },
    { tool: 'x', forbid_after: { tool: 'y' } },
  ],
  content_rules: {
    block_patterns: [
      { name: 'p', pattern: 'a.*z' },
      { name: 'q', pattern: 'prod' },
    ],
  },
  network: { allowed_domains: ['a.com'] },
  rate_limits: { x: { max_calls: 1, window_seconds: 1 } },
  cost: { x: 1 },
  resource_limits: { max_cost_usd: 5 },
  tools: {
    x: {
      args: { n: 'command', s: 'sql', p: 'path', u: 'url' },
      input_schema: { type: ['object', 'array', 'string', 'number', 'boolean', 'null'] },
    },
  },
};

const pieces = fc.constantFrom(
  "'",
  '"',
  '`',
  ';',
  '|',
  '$(',
  '${',
  '{{',
  '}}',
  '../',
  '%2e',
  '&#x2f;',
  '\\u0041',
  ' or ',
  '1=1',
  'select',
  'http://',
  '@',
  'a.com',
  '<?',
  'eval(',
  '\ud800',
  '\0',
  'é',
  '\u200b',
);
const strings = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
);
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    strings,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(strings, fc.constantFrom('n', 's', 'p', 'u', '__proto__', 'constructor')),
      tie('json'),
      { maxKeys: 4 },
    ),
  ),
}));

test('whatever is asked, the answer is a decision with codes that exist, and the same again', async () => {
  const policy = await compiled(EVERYTHING);
  const tools = fc.oneof(fc.constantFrom('x', 'pay', 'bad_x', 'y'), strings);
  fc.assert(
    fc.property(tools, json, json, (tool, args, redactedArgs) => {
      const request = requestFor(tool, args, { redactedArgs });
      const decision = decide(policy, request);
      expect(decision.effect).toBe(decision.reasons.length > 0 ? 'deny' : 'allow');
      for (const { code, rule, message } of decision.reasons) {
        expect(ERROR_CODES).toHaveProperty(code);
        expect(rule).not.toBe('policy');
        expect(message).not.toMatch(/\p{Cc}/u);
      }
      if (decision.effect === 'deny') expect(decision.reservations).toEqual([]);
      expect(decide(policy, request)).toEqual(decision);
    }),
    { numRuns: 1500 },
  );
});

test('a denial stays a denial when more rules are added', async () => {
  const few = await compiled({ content_rules: { builtins: ['sql_injection'] } });
  const many = await compiled({ ...EVERYTHING, content_rules: {} });
  fc.assert(
    fc.property(json, (args) => {
      const request = requestFor('y', args);
      if (decide(few, request).effect === 'deny') expect(decide(many, request).effect).toBe('deny');
    }),
    { numRuns: 500 },
  );
});
