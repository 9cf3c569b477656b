import type { Decision, Reason } from '../call.ts';
import type { Policy } from '../policy/index.ts';
import type { Reservation } from '../usage/index.ts';
import type { Charge, Check, DecisionRequest } from './check.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { checkToolName } from './tool-name.ts';

/** A decision, and what the ledger must grant before the call may run. Empty when denied. */
export type GateDecision = Decision & { readonly reservations: readonly Reservation[] };

/**
 * May this call run? Every rule is asked, so the answer has every reason and not only the first.
 * Pure and synchronous; never throws: a rule that fails denies with `ENF_DENIED_RULE_FAILED`.
 */
export function decide(compiled: CompiledPolicy, request: DecisionRequest): GateDecision {
  try {
    return judge(compiled, request);
  } catch (error) {
    return denied(compiled.policy, [ruleFailed('policy', error)]);
  }
}

function judge(compiled: CompiledPolicy, request: DecisionRequest): GateDecision {
  const { policy } = compiled;
  const hard: Reason[] = [];
  if (request.killSwitch !== null) hard.push(killed(request.killSwitch.reason));
  const badName = checkToolName(request.call.tool);
  // No rule can speak about a name that is not one.
  if (badName !== null) return denied(policy, [...hard, badName]);

  const { checks, charges } = compiled.checksFor(request.call.tool);
  const spoken = { hard, soft: [] as Reason[], record: [] as Reason[] };
  for (const check of checks) spoken[check.force].push(...run(check, request));
  const reservations = charges.flatMap((charge) => reserve(charge, request, hard));

  const { soft, record } = spoken;
  const isLogged = policy.document.on_violation === 'log';
  const reasons = [...hard, ...soft, ...record];
  if (hard.length > 0 || (soft.length > 0 && !isLogged)) return denied(policy, reasons);
  const wouldDeny = soft.length > 0;
  return { effect: 'allow', reasons, wouldDeny, policy: identityOf(policy), reservations };
}

/** What a charge needs; a charge that cannot be computed is a reason against the call. */
function reserve(charge: Charge, request: DecisionRequest, hard: Reason[]): Reservation[] {
  try {
    return [charge.reserve(request)];
  } catch (error) {
    hard.push(ruleFailed(charge.rule, error));
    return [];
  }
}

function run(check: Check, request: DecisionRequest): readonly Reason[] {
  try {
    return check.run(request);
  } catch (error) {
    return [ruleFailed(check.rule, error)];
  }
}

/** The error's class only: its message may quote arguments. */
function ruleFailed(rule: string, error: unknown): Reason {
  const name = error instanceof Error ? error.name : typeof error;
  const message = `rule \`${rule}\` could not be evaluated (${name})`;
  return { rule, code: 'ENF_DENIED_RULE_FAILED', message };
}

function killed(reason: string): Reason {
  const message = `the kill switch is tripped: ${reason}`;
  return { rule: 'kill_switch', code: 'ENF_DENIED_KILL_SWITCH', message };
}

function denied(policy: Policy, reasons: readonly Reason[]): GateDecision {
  return {
    effect: 'deny',
    reasons,
    wouldDeny: false,
    policy: identityOf(policy),
    reservations: [],
  };
}

function identityOf({ name, version, digest }: Policy): Decision['policy'] {
  return { name, ...(version === undefined ? {} : { version }), digest };
}
