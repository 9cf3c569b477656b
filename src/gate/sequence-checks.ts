import type { Reason } from '../call.ts';
import { compileGlob, durationMs, type PriorCall, type SequenceRule } from '../policy/index.ts';
import type { SessionHistory, ToolHistory } from '../usage/index.ts';
import { valueAt } from './argument-path.ts';
import type { Charge, Check } from './check.ts';
import { foldToolName } from './tool-name.ts';

/** The rules about what a session did before that apply to one tool. */
export function sequenceChecks(rules: readonly SequenceRule[] = [], tool: string): Check[] {
  return rules.flatMap((rule, index) => {
    if (!appliesTo(rule, tool)) return [];
    const path = `sequence_rules[${index}]`;
    if ('requires_prior' in rule) return [requiresPrior(rule.requires_prior, path)];
    return 'forbid_after' in rule ? [forbidAfter(rule.forbid_after, path)] : [];
  });
}

/** True when a rule is about what a session did before; sums are kept by the ledger. */
export function asksHistory(rules: readonly SequenceRule[] = []): boolean {
  return rules.some((rule) => 'requires_prior' in rule || 'forbid_after' in rule);
}

/**
 * Sums within a window are reservations: calls in flight count, so two parallel calls cannot each
 * use the same rest. Limits, so never softened.
 */
export function sumCharges(
  rules: readonly SequenceRule[] = [],
  tool: string,
  policy: string,
): Charge[] {
  return rules.flatMap((rule, index) => {
    if (!('sum' in rule) || !appliesTo(rule, tool)) return [];
    const { sum, max, within } = rule;
    const path = `sequence_rules[${index}]`;
    return [
      {
        rule: path,
        reserve({ call }) {
          const { tenant, agent, session } = call.context;
          return {
            kind: 'window',
            // By what the rule says, not by its index: a reload may move it.
            key: JSON.stringify([policy, 'sum', rule, tenant, agent, session]),
            rule: path,
            amount: amountAt(call.args, sum),
            amountMax: max,
            windowMs: durationMs(within),
          };
        },
      },
    ];
  });
}

function appliesTo(rule: SequenceRule, tool: string): boolean {
  return compileGlob(foldToolName(rule.tool))(foldToolName(tool));
}

/** @throws {TypeError} for anything but a number >= 0: a negative amount would make room */
function amountAt(args: Parameters<typeof valueAt>[0], path: string): number {
  const amount = valueAt(args, path);
  if (typeof amount === 'number' && Number.isFinite(amount) && amount >= 0) return amount;
  throw new TypeError(`\`${path}\` is not a number >= 0`);
}

function requiresPrior(prior: PriorCall, rule: string): Check {
  const hasSucceeded = matcher(prior, ({ succeededAt }) => succeededAt);
  const span = prior.within === undefined ? '' : ` within ${prior.within}`;
  const message = `\`${prior.tool}\` must have ended well before${span}`;
  const reasons: Reason[] = [{ rule, code: 'ENF_DENIED_SEQUENCE', message }];
  return {
    rule,
    force: 'soft',
    run: ({ history, now }) => (hasSucceeded(history, now) ? [] : reasons),
  };
}

function forbidAfter(prior: PriorCall, rule: string): Check {
  const hasRun = matcher(prior, ({ running, ranAt }) => (running > 0 ? Infinity : ranAt));
  const span = prior.within === undefined ? '' : ` for ${prior.within}`;
  const message = `not allowed after \`${prior.tool}\`${span}`;
  const reasons: Reason[] = [{ rule, code: 'ENF_DENIED_SEQUENCE', message }];
  return {
    rule,
    force: 'soft',
    // A history that forgot something cannot show that nothing happened.
    run: ({ history, now }) => (!history.complete || hasRun(history, now) ? reasons : []),
  };
}

/** True when a tool that matches has an event of the kind, recent enough. */
function matcher(
  { tool, within }: PriorCall,
  eventOf: (history: ToolHistory) => number | undefined,
): (history: SessionHistory, now: number) => boolean {
  const matches = compileGlob(foldToolName(tool));
  const spanMs = within === undefined ? Infinity : durationMs(within);
  return ({ tools }, now) => {
    for (const [name, events] of tools) {
      const at = matches(name) ? eventOf(events) : undefined;
      if (at !== undefined && now - at <= spanMs) return true;
    }
    return false;
  };
}
