import { compileCondition } from '../policy/index.ts';
import type { Check } from './check.ts';

/** Characters of a condition that a reason shows. */
const SHOWN_MAX = 200;

/**
 * Every condition must hold. One that cannot be told (a missing key, a type error) does not hold.
 *
 * @param at - `conditions`, or the path of a tool's own
 */
export function conditionChecks(conditions: readonly string[] = [], at: string): Check[] {
  return conditions.map((source, index) => {
    const rule = `${at}[${index}]`;
    const condition = compileCondition(source);
    const shown = source.replace(/\s+/g, ' ').slice(0, SHOWN_MAX);
    return {
      rule,
      force: 'soft',
      run({ call, now }) {
        if (condition.holds({ ...call, now })) return [];
        return [{ rule, code: 'ENF_DENIED_CONDITION', message: `\`${shown}\` does not hold` }];
      },
    };
  });
}
