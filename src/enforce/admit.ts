import type { Decision, Reason, ToolCall } from '../call.ts';
import { decide, type GateDecision } from '../gate/index.ts';
import type { Grant, GrantAnswer, Reservation, SessionCall } from '../usage/index.ts';
import { type IdentifiedCall, identityOf } from './identify.ts';
import type { CallRequest, EnforcementParts } from './parts.ts';
import type { SentArguments } from './redact-call.ts';
import { costOf, scopeReservations } from './scope-budget.ts';

/** The decision about a call, with what an allowed call holds until it ends. */
export interface Admission {
  readonly decision: Decision;
  /** When the same call might be granted. */
  readonly retryAfterMs?: number;
  /** What the call costs by the policy; reserved from its budgets. */
  readonly costUsd: number;
  /** The call ran: settles its reservations and notes it in its session. */
  ended(isOk: boolean): Promise<void>;
  /** It never ran: gives everything back. */
  abandoned(): Promise<void>;
}

/**
 * Decides, then reserves everything the call needs, or nothing.
 *
 * @param request.stop - ends a wait for a free place, where the policy lets calls wait
 */
export async function admit(
  parts: EnforcementParts,
  call: IdentifiedCall,
  sent: SentArguments,
  { stop, budgets }: Pick<CallRequest, 'stop' | 'budgets'>,
): Promise<Admission> {
  const { tool, context, args } = call;
  const toolCall: ToolCall = { tool, args, context };
  // Of the session's history, so on a clock that rules can compare: not the monotonic one.
  const now = Date.now();
  const judged = decide(parts.compiled, {
    call: toolCall,
    redactedArgs: sent.args,
    target: identityOf(call),
    killSwitch: tripped(parts),
    history: parts.histories.of(context),
    now,
  });
  const refusals = [...call.refusals, ...sent.refusals];
  if (judged.effect === 'deny' || refusals.length > 0) return denied(judged, refusals);
  // INVARIANT: same tick as decide(), so that parallel calls of a session see this one.
  const session = parts.histories.begin(context, tool, now);
  const microUsd = costOf(parts.compiled, call);
  const reservations = [...judged.reservations, ...scopeReservations(budgets, microUsd)];
  const answer = await reserve(parts, call, reservations, stop);
  if (answer.granted) return admitted(judged, session, answer.grant, microUsd);
  session.refused();
  const { reasons, retryAfterMs } = answer;
  return { ...denied(judged, reasons), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** A store that fails has granted nothing: like a rule that cannot be evaluated, it denies. */
async function reserve(
  { ledger, logger }: EnforcementParts,
  { callId }: IdentifiedCall,
  reservations: readonly Reservation[],
  signal: AbortSignal,
): Promise<GrantAnswer> {
  try {
    return await ledger.reserve(reservations, { callId, signal });
  } catch (err) {
    logger.error({ err, callId }, 'the store of counters failed');
    const message = 'the counters of limits and budgets cannot be reached';
    const reason = { rule: 'store', code: 'ENF_DENIED_RULE_FAILED', message } as const;
    return { granted: false, reasons: [reason] };
  }
}

function tripped({ killSwitch }: EnforcementParts): { readonly reason: string } | null {
  const { tripped: isTripped, reason } = killSwitch.state;
  return isTripped ? { reason: reason ?? 'no reason given' } : null;
}

function denied(judged: GateDecision, more: readonly Reason[]): Admission {
  const decision = plainDecision(judged);
  const nothing = async (): Promise<void> => {};
  return {
    decision: { ...decision, effect: 'deny', reasons: [...more, ...decision.reasons] },
    costUsd: 0,
    ended: nothing,
    abandoned: nothing,
  };
}

function admitted(
  judged: GateDecision,
  session: SessionCall,
  grant: Grant,
  microUsd: number,
): Admission {
  return {
    decision: plainDecision(judged),
    costUsd: microUsd / 1_000_000,
    ended: async (isOk) => {
      session.ended({ at: Date.now(), ok: isOk });
      await grant.settle();
    },
    abandoned: async () => {
      session.refused();
      await grant.release();
    },
  };
}

/** What is told of a decision; the reservations are for the ledger. */
export function plainDecision({ effect, reasons, wouldDeny, policy }: GateDecision): Decision {
  return { effect, reasons, wouldDeny, policy };
}
