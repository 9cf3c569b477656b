import type { CallContext, Decision, Reason } from '../call.ts';
import { decide, foldToolName, type GateDecision } from '../gate/index.ts';
import {
  type Grant,
  type GrantAnswer,
  INCOMPLETE_HISTORY,
  type Reservation,
  type SessionHistory,
} from '../usage/index.ts';
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
  const refusals = [...call.refusals, ...sent.refusals];
  const { judged, failure } = await judge(parts, call, sent, refusals.length > 0);
  if (failure !== null) return denied(judged, [...refusals, failure]);
  if (judged.effect === 'deny' || refusals.length > 0) return denied(judged, refusals);
  const microUsd = costOf(parts.compiled, call);
  const reservations = [...judged.reservations, ...scopeReservations(budgets, microUsd)];
  const answer = await reserve(parts, call, reservations, stop);
  if (answer.granted) return admitted(parts, call, judged, answer.grant, microUsd);
  await leave(parts, call);
  const { reasons, retryAfterMs } = answer;
  return { ...denied(judged, reasons), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

interface Judgement {
  readonly judged: GateDecision;
  /** Set when the history of the session cannot be known. */
  readonly failure: Reason | null;
}

/**
 * Decides on a call and, unless it is refused anyway, notes it in its session in the same step, so
 * that parallel calls of the session see it.
 */
async function judge(
  parts: EnforcementParts,
  call: IdentifiedCall,
  sent: SentArguments,
  isRefused: boolean,
): Promise<Judgement> {
  const { tool, context, args, callId } = call;
  const judgeBy = (history: SessionHistory, now: number): GateDecision => {
    const judged = decide(parts.compiled, {
      call: { tool, args, context },
      redactedArgs: sent.args,
      target: identityOf(call),
      killSwitch: tripped(parts),
      history,
      now,
    });
    return isRefused ? { ...judged, effect: 'deny' } : judged;
  };
  const entry = {
    session: sessionName(parts.compiled.policy.name, context),
    tool: foldToolName(tool),
    callId,
    // Of the session's history, so on a clock that rules can compare: not the monotonic one.
    now: Date.now(),
    isRuled: parts.compiled.asksHistory,
  };
  try {
    return { judged: await parts.sessions.enterSession(entry, judgeBy), failure: null };
  } catch (err) {
    parts.logger.error({ err, callId }, 'the store of sessions failed');
    const message = 'what the session did before cannot be known';
    const failure: Reason = { rule: 'store', code: 'ENF_DENIED_RULE_FAILED', message };
    return { judged: judgeBy(INCOMPLETE_HISTORY, entry.now), failure };
  }
}

/** A store that fails keeps the call as one that runs: what it forbids stays forbidden. */
async function leave(
  { sessions, logger }: EnforcementParts,
  { callId }: IdentifiedCall,
): Promise<void> {
  try {
    await sessions.leaveSession(callId, 'refused', Date.now());
  } catch (err) {
    logger.error({ err, callId }, 'the store of sessions failed');
  }
}

/** JSON keeps the parts apart whatever characters they have. */
function sessionName(policy: string, { tenant, agent, session }: CallContext): string {
  return JSON.stringify([policy, tenant ?? null, agent ?? null, session ?? null]);
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
  { sessions }: EnforcementParts,
  { callId }: IdentifiedCall,
  judged: GateDecision,
  grant: Grant,
  microUsd: number,
): Admission {
  return {
    decision: plainDecision(judged),
    costUsd: microUsd / 1_000_000,
    ended: async (isOk) => {
      await both(sessions.leaveSession(callId, isOk ? 'ok' : 'failed', Date.now()), grant.settle());
    },
    abandoned: async () => {
      await both(sessions.leaveSession(callId, 'refused', Date.now()), grant.release());
    },
  };
}

/** What one of them throws keeps the other from nothing. */
async function both(...steps: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** What is told of a decision; the reservations are for the ledger. */
export function plainDecision({ effect, reasons, wouldDeny, policy }: GateDecision): Decision {
  return { effect, reasons, wouldDeny, policy };
}
