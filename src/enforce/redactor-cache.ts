import type { ToolRules } from '../gate/index.ts';
import {
  createRedactor,
  type PatternRegistry,
  type RedactionRules,
  type Redactor,
} from '../redaction/index.ts';

/**
 * One redactor for each set of rules, compiled when it is first asked for and dropped with the rules.
 *
 * @param patterns - of the program's own, besides those of the policy
 */
export function redactorCache(
  patterns: PatternRegistry | undefined,
): (rules: ToolRules) => Redactor {
  const made = new WeakMap<ToolRules, Redactor>();
  const options = patterns === undefined ? {} : { patterns };
  return (rules) => {
    const known = made.get(rules);
    if (known !== undefined) return known;
    // The policy schema and the redactor share their lists of names (held by a test).
    const redactor = createRedactor(rules.redaction as RedactionRules, options);
    made.set(rules, redactor);
    return redactor;
  };
}
