import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { policyJsonSchema, policySchema } from '../../src/policy/index.ts';
import { policyReference } from '../../src/policy/policy-reference.ts';
import { keysAt } from '../../src/policy/schema-problems.ts';

test('docs/policy-reference.md is what the schema says', () => {
  const written = readFileSync(new URL('../../docs/policy-reference.md', import.meta.url), 'utf8');
  // The formatter aligns tables; what they say is compared.
  const said = (page: string): string => page.replace(/[\s-]+/g, '');
  expect(said(written), 'run: npm run build && node test/policy/write-reference.js').toBe(
    said(policyReference()),
  );
});

test('every key of the language is on the page, with a meaning', () => {
  const page = policyReference();
  const missing = keysAt(policySchema, []).filter((key) => !page.includes(`| \`${key}\``));
  expect(missing).toEqual([]);
});

test('the JSON Schema refuses unknown keys and knows `extends`', () => {
  expect(policyJsonSchema()).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      extends: { description: expect.any(String) },
      name: { type: 'string' },
      resource_limits: { additionalProperties: false },
      isolation: { properties: { min: { enum: ['thread', 'process', 'hardened', 'isolated'] } } },
    },
  });
});

test('the JSON Schema is JSON', () => {
  const schema = policyJsonSchema();
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});
