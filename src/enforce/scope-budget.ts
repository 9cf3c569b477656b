import { EnforceError } from '../errors.ts';
import { type CompiledPolicy, microUsdOf } from '../gate/index.ts';
import type { BudgetReservation } from '../usage/index.ts';
import type { IdentifiedCall } from './identify.ts';

/** Money that all calls of one scope share, besides the budgets of the policy. */
export interface ScopeBudget {
  /** Names the scope's account. */
  readonly key: string;
  readonly microUsdMax: number;
}

/**
 * A budget for a scope.
 *
 * @param budgetUsd - US dollars >= 0; 0 denies every call that costs anything
 * @throws {EnforceError} `ENF_CALL_ARGUMENT` for anything else
 */
export function scopeBudget(scopeId: string, budgetUsd: unknown): ScopeBudget {
  if (typeof budgetUsd === 'number' && budgetUsd >= 0 && budgetUsd <= 1e6) {
    return { key: `scope/${scopeId}`, microUsdMax: Math.floor(budgetUsd * 1e6) };
  }
  throw new EnforceError('ENF_CALL_ARGUMENT', '`budgetUsd` must be a number from 0 to 1000000');
}

/** What a call costs by its policy, or by its caller where that is more. Whole micro-dollars. */
export function costOf({ policy }: CompiledPolicy, { tool, context }: IdentifiedCall): number {
  const stated = policy.document.cost?.[tool] ?? 0;
  return microUsdOf(Math.max(stated, context.costUsd ?? 0));
}

/** What a call takes from the budgets of the scopes it is made in, inner and outer alike. */
export function scopeReservations(
  budgets: readonly ScopeBudget[],
  microUsd: number,
): readonly BudgetReservation[] {
  return budgets.map(({ key, microUsdMax }) => ({
    kind: 'budget',
    key,
    rule: 'scope.budget_usd',
    microUsd,
    microUsdMax,
  }));
}
