import type { AuditTrail, DecisionEntry, OutcomeEntry } from '../audit/index.ts';
import type { Json } from '../call.ts';
import type { ToolRules } from '../gate/index.ts';
import type { Admission } from './admit.ts';
import { type IdentifiedCall, identityOf } from './identify.ts';
import type { Performance } from './perform.ts';
import { jsonOf, type SentArguments } from './redact-call.ts';

/** What both entries of a call are made from. */
export interface CallFacts {
  readonly call: IdentifiedCall;
  readonly sent: SentArguments;
  readonly admission: Admission;
  readonly rules: ToolRules;
  readonly tierAsked: string;
}

/** The entry that is written before anything runs. */
export function decisionEntry(trail: AuditTrail, facts: CallFacts): DecisionEntry {
  const { call, sent, admission, rules, tierAsked } = facts;
  const { callId, tool, context, argsJson } = call;
  const digest = (json: string | null): string | null =>
    json === null ? null : trail.digest(callId, json);
  const argsDigest = digest(argsJson);
  return {
    type: 'decision',
    callId,
    tool,
    target: identityOf(call),
    decision: admission.decision,
    argsDigest,
    sentDigest: sent.argsJson === argsJson ? argsDigest : digest(sent.argsJson),
    redactions: sent.counts,
    context,
    tierAsked,
    ...(rules.audit.record === 'redacted' ? { args: sent.args } : {}),
  };
}

/** The entry that is written when the call has ended. */
export function outcomeEntry(
  trail: AuditTrail,
  { call, admission, rules }: CallFacts,
  performed: Performance,
): OutcomeEntry {
  const { end, isolation, usage, exit, limitsHit, outputCounts } = performed;
  const resultJson = end.status === 'ok' ? jsonOf(end.value, isolation.tier) : null;
  const limit = end.status === 'ok' ? undefined : end.limit;
  return {
    type: 'outcome',
    callId: call.callId,
    status: end.status,
    isolation,
    usage,
    exit,
    ...(limit === undefined ? {} : { limit }),
    limitsHit,
    resultDigest: resultJson === null ? null : trail.digest(call.callId, resultJson),
    redactions: outputCounts,
    ...(end.status === 'ok' ? {} : { errorCode: end.error.code }),
    ...(admission.decision.wouldDeny || performed.reasons.length > 0
      ? { wouldDeny: true as const }
      : {}),
    ...(rules.audit.record === 'redacted' && resultJson !== null
      ? { result: JSON.parse(resultJson) as Json }
      : {}),
  };
}
