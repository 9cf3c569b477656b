import { z } from 'zod';
import { policySchema } from './policy-schema.ts';

/**
 * The JSON Schema (2020-12) of a policy file, for editors. Looser than loading: patterns,
 * conditions and relations between keys are checked only by `loadPolicy`.
 */
export function policyJsonSchema(): object {
  const { properties, ...rest } = z.toJSONSchema(policySchema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
  });
  const files = { type: 'string', minLength: 1 };
  const extending = {
    description: 'A base policy, or a list of them; paths are relative to this file.',
    anyOf: [files, { type: 'array', items: files }],
  };
  return {
    ...rest,
    title: 'EnforceCore policy',
    properties: { extends: extending, ...properties },
  };
}
