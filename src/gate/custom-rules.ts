import type { ToolCall } from '../call.ts';
import type { Check } from './check.ts';

/** A check written in code. */
export interface CustomRule {
  /** Names the rule in reasons: `rules.<id>`. */
  readonly id: string;
  /**
   * @returns true when the rule has nothing against the call, else why it is denied. Anything else,
   *   a promise too, and a throw deny.
   */
  check(call: ToolCall): true | string;
}

/** Longest reason that is passed on. */
const MESSAGE_MAX = 500;

/** Custom rules are hard: the program that wrote them decides, not `on_violation`. */
export function customChecks(rules: readonly CustomRule[]): Check[] {
  return rules.map(({ id, check }) => {
    const rule = `rules.${id}`;
    return {
      rule,
      force: 'hard',
      run({ call }) {
        const answer: unknown = check(call);
        if (answer === true) return [];
        if (typeof answer !== 'string') throw new TypeError('a rule answers true or a reason');
        return [{ rule, code: 'ENF_DENIED_RULE', message: answer.slice(0, MESSAGE_MAX) }];
      },
    };
  });
}
