import type { Json } from '../call.ts';
import { compileInputSchema } from '../policy/index.ts';
import type { Check } from './check.ts';

/** The arguments must fit the tool's JSON Schema. Hard: it is a fact about the tool. */
export function inputCheck(schema: Readonly<Record<string, Json>>, tool: string): Check {
  const rule = `tools.${tool}.input_schema`;
  const { check } = compileInputSchema(schema);
  return {
    rule,
    force: 'hard',
    run({ call }) {
      const mismatch = check(call.args);
      if (mismatch === null) return [];
      const place = mismatch.path.map((key) =>
        typeof key === 'number' ? `[${key}]` : `.${key.slice(0, 64)}`,
      );
      const message = `\`args${place.join('')}\` must be ${mismatch.expected}`;
      return [{ rule, code: 'ENF_DENIED_INPUT', message }];
    },
  };
}
