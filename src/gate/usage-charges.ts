import { DEFAULTS, type PolicyDocument, type RateWindow } from '../policy/index.ts';
import type { SlotReservation } from '../usage/index.ts';
import type { Charge } from './check.ts';
import { toolTable } from './tool-table.ts';

/**
 * What each call of a tool takes from the ledger: a slot, a place in each rate window, money. A
 * tool's own `max_concurrent_calls` and `max_cost_usd` are accounts besides the common ones.
 */
export function usageCharges(document: PolicyDocument): (tool: string) => Charge[] {
  const common = { ...DEFAULTS.resource_limits, ...document.resource_limits };
  const tools = toolTable(document.tools);
  const costs = toolTable(document.cost);
  const rates = rateTable(document);
  const policy = document.name;
  return (tool) => {
    const own = tools(tool)?.resource_limits;
    const microUsd = microUsdOf(costs(tool) ?? 0);
    const at = `tools.${tool}.resource_limits`;
    return [
      ...slotCharge(policy, 'resource_limits', common),
      ...slotCharge(policy, at, { on_busy: common.on_busy, ...own }),
      ...(tool === 'global' ? [] : rates(tool)).map((window) =>
        rateCharge(policy, tool, window, true),
      ),
      ...rates('global').map((window) => rateCharge(policy, 'global', window, false)),
      ...budgetCharge(policy, 'resource_limits', common.max_cost_usd, microUsd),
      ...budgetCharge(policy, at, own?.max_cost_usd, microUsd),
    ];
  };
}

type Limits = NonNullable<PolicyDocument['resource_limits']>;

function slotCharge(policy: string, at: string, limits: Limits): Charge[] {
  const { max_concurrent_calls: callsMax, on_busy } = limits;
  if (callsMax === undefined || callsMax === 'unlimited') return [];
  const rule = `${at}.max_concurrent_calls`;
  const slot: SlotReservation = { kind: 'slot', key: keyOf(policy, rule), rule, callsMax };
  if (on_busy === undefined || on_busy === 'deny') return [{ rule, reserve: () => slot }];
  const queue = { callsMax: on_busy.queue, waitMs: on_busy.waitMs };
  return [{ rule, reserve: () => ({ ...slot, queue }) }];
}

function rateTable({ rate_limits = {} }: PolicyDocument): (name: string) => readonly RateWindow[] {
  const { enabled, ...rates } = rate_limits;
  if (enabled === false) return () => [];
  const windows = toolTable(rates);
  return (name) => {
    const written = windows(name);
    if (typeof written !== 'object') return [];
    return 'max_calls' in written ? [written] : tightest(written);
  };
}

/** Windows of one length are one account: the smallest number of calls holds. */
function tightest(windows: readonly RateWindow[]): readonly RateWindow[] {
  const byLength = new Map<number, RateWindow>();
  for (const window of windows) {
    const known = byLength.get(window.window_seconds);
    if (known === undefined || window.max_calls < known.max_calls) {
      byLength.set(window.window_seconds, window);
    }
  }
  return [...byLength.values()];
}

/** @param isPerAgent - a tool's windows are kept per tenant and agent, `global` ones for all */
function rateCharge(policy: string, name: string, window: RateWindow, isPerAgent: boolean): Charge {
  const rule = `rate_limits.${name}`;
  const windowMs = window.window_seconds * 1000;
  return {
    rule,
    reserve: ({ call: { context } }) => ({
      kind: 'window',
      key: keyOf(policy, rule, windowMs, ...(isPerAgent ? [context.tenant, context.agent] : [])),
      rule,
      amount: 1,
      amountMax: window.max_calls,
      windowMs,
    }),
  };
}

function budgetCharge(
  policy: string,
  at: string,
  maxUsd: number | 'unlimited' | undefined,
  microUsd: number,
): Charge[] {
  if (maxUsd === undefined || maxUsd === 'unlimited') return [];
  const rule = `${at}.max_cost_usd`;
  // Rounded down: a budget never grows by rounding.
  const microUsdMax = Math.floor(maxUsd * 1e6 + ROUNDING);
  return [
    {
      rule,
      reserve: ({ call: { context } }) => ({
        kind: 'budget',
        key: keyOf(policy, rule, context.tenant, context.agent),
        rule,
        microUsd: Math.max(microUsd, microUsdOf(context.costUsd ?? 0)),
        microUsdMax,
      }),
    },
  ];
}

/**
 * Whole micro-dollars, rounded up: a call that costs anything is never free.
 *
 * @throws {RangeError} for anything but a number from 0 to a million
 */
export function microUsdOf(usd: number): number {
  if (!(usd >= 0 && usd <= 1e6)) throw new RangeError('a cost must be from 0 to a million dollars');
  return Math.max(0, Math.ceil(usd * 1e6 - ROUNDING));
}

/** `0.0021 * 1e6` is 2099.9999999999995 in binary. */
const ROUNDING = 1e-6;

/** JSON keeps the parts apart whatever characters they have. */
function keyOf(...parts: readonly (string | number | undefined)[]): string {
  return JSON.stringify(parts.map((part) => part ?? null));
}
