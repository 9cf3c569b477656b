import { compileCondition } from '../policy/index.ts';
import type { Check } from './check.ts';

/**
 * Every condition must hold. One that cannot be told (a missing key, a type error) does not hold.
 *
 * @param at - `conditions`, or the path of a tool's own
 */
export function conditionChecks(conditions: readonly string[] = [], at: string): Check[] {
  return conditions.map((source, index) => {
    const rule = `${at}[${index}]`;
    const condition = compileCondition(source);
    return {
      rule,
      force: 'soft',
      run({ call, now }) {
        if (condition.holds({ ...call, now })) return [];
        return [{ rule, code: 'ENF_DENIED_CONDITION', message: `\`${source}\` does not hold` }];
      },
    };
  });
}
