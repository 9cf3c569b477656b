import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, test } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import {
  DEFAULTS,
  loadPolicy,
  type PolicyDocument,
  policySchema,
  shippedDefault,
} from '../../src/policy/index.ts';
import { keysAt } from '../../src/policy/schema-problems.ts';

test('the schema and the type of a document agree', () => {
  expectTypeOf<z.output<typeof policySchema>>().toEqualTypeOf<PolicyDocument>();
});

test('the defaults in code are the values of policies/default.yaml', () => {
  const { name, version, ...sections } = parse(readFileSync(shippedDefault(), 'utf8'));
  expect([name, version]).toEqual(['default', '1.0']);
  expect(sections).toEqual(DEFAULTS);
});

test('the shipped default is known as such, a copy of it is not', async () => {
  expect((await loadPolicy(shippedDefault())).isDefault).toBe(true);
  const copy = parse(readFileSync(shippedDefault(), 'utf8'));
  expect((await loadPolicy(copy)).isDefault).toBe(false);
});

test('every limit of the schema has a default', () => {
  expect(keysAt(policySchema, ['resource_limits']).sort()).toEqual(
    Object.keys(DEFAULTS.resource_limits).sort(),
  );
});
