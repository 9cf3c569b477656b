import { DEFAULTS, type PolicyDocument } from '../policy/index.ts';
import type { Charge } from './check.ts';

/** What `max_concurrent_calls` takes for each call; null when it is unlimited. */
export function slotCharge(document: PolicyDocument): Charge | null {
  const rule = 'resource_limits.max_concurrent_calls';
  const callsMax =
    document.resource_limits?.max_concurrent_calls ?? DEFAULTS.resource_limits.max_concurrent_calls;
  if (callsMax === 'unlimited') return null;
  const key = JSON.stringify([document.name, rule]);
  return { rule, reserve: () => ({ kind: 'slot', key, rule, callsMax }) };
}
