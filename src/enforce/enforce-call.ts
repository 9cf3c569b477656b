/**
 * The path of one call, top to bottom: the policy enforcement point.
 *
 *   identify → redact arguments → admit (decide, reserve) → audit the decision
 *            → perform (run isolated, redact the output) → settle → audit the outcome
 *
 * Whatever goes wrong on the way ends in an outcome. Nothing runs that was not admitted and
 * recorded, and every decision entry gets exactly one outcome entry.
 */
import type { AuditEntry, AuditReceipt, AuditTrail } from '../audit/index.ts';
import type { Decision, Outcome, OutcomeFacts, Reason } from '../call.ts';
import { type Admission, admit } from './admit.ts';
import { type CallFacts, decisionEntry, outcomeEntry } from './audit-entries.ts';
import { type IdentifiedCall, identify, identityOf } from './identify.ts';
import { auditFailure, denial, type FinalEnd, failure } from './outcome.ts';
import type { CallRequest, EnforcementParts } from './parts.ts';
import { notPerformed, type Performance, perform } from './perform.ts';
import { addCounts, redactArguments } from './redact-call.ts';
import { tighten } from './tighten.ts';

/**
 * Takes one call down the whole path.
 *
 * @returns the outcome, however the call ended
 * @throws {EnforceError} only for a malformed request: `ENF_CALL_ARGUMENT`, `ENF_CALL_LOOSER`
 */
export async function enforceCall(parts: EnforcementParts, request: CallRequest): Promise<Outcome> {
  const rules = parts.compiled.rulesFor(request.tool);
  const confinement = tighten(rules.confinement, request.limits);
  const redactor = parts.redactorFor(rules);
  const call = await identify(request, confinement.limits, parts.surroundings);
  const sent = redactArguments(call, redactor, rules);
  const admission = await admit(parts, call, sent, request);
  const admittedAt = parts.clock();
  const facts = { call, sent, admission, rules, tierAsked: confinement.isolation.level };

  const recorded = await append(parts.trail, (trail) => decisionEntry(trail, facts));
  if (recorded.failure !== undefined) {
    await settle(parts, facts, { isRun: false, isOk: false });
    return outcomeOf(facts, notPerformed(auditFailure(call.tool, recorded.failure, false)));
  }
  const { argsJson } = sent;
  const performed =
    admission.decision.effect === 'deny' || argsJson === null
      ? notPerformed(denied(call, admission))
      : await perform(parts, {
          request,
          call,
          argsJson,
          confinement,
          rules,
          redactor,
          admittedAt,
          costUsd: admission.costUsd,
        }).catch((cause: unknown) => faulted(parts, call, cause));
  await settle(parts, facts, { isRun: performed.isRun, isOk: performed.end.status === 'ok' });

  const concluded = await append(parts.trail, (trail) => outcomeEntry(trail, facts, performed));
  if (concluded.failure === undefined) return outcomeOf(facts, performed, concluded.receipt);
  const end = auditFailure(call.tool, concluded.failure, performed.isRun);
  return outcomeOf(facts, { ...performed, end, stdout: '', stderr: '' });
}

interface Appended {
  readonly receipt?: AuditReceipt;
  readonly failure?: unknown;
}

/** Writes an entry as durably as the trail's level says. Nothing is written where audit is off. */
async function append(
  trail: AuditTrail | null,
  entryFor: (trail: AuditTrail) => AuditEntry,
): Promise<Appended> {
  if (trail === null) return {};
  try {
    return { receipt: await trail.append(entryFor(trail)) };
  } catch (failure) {
    return { failure };
  }
}

/**
 * Settles what the call held, or gives it back. A store that fails then keeps it: later calls are
 * denied rather than let through, and this one still gets its outcome.
 */
async function settle(
  { logger }: EnforcementParts,
  { call, admission }: CallFacts,
  { isRun, isOk }: { readonly isRun: boolean; readonly isOk: boolean },
): Promise<void> {
  try {
    await (isRun ? admission.ended(isOk) : admission.abandoned());
  } catch (err) {
    logger.error({ err, callId: call.callId }, 'counters not settled: they stay reserved');
  }
}

function denied({ tool }: IdentifiedCall, { decision, retryAfterMs }: Admission): FinalEnd {
  const details = retryAfterMs === undefined ? {} : { retryAfterMs };
  return denial('denied', tool, decision.reasons, details);
}

/** A fault of our own. The tool may have run; the outcome entry must be written all the same. */
function faulted(
  { logger }: EnforcementParts,
  { tool, callId }: IdentifiedCall,
  cause: unknown,
): Performance {
  logger.error({ err: cause, callId }, 'enforcecore failed while it ran a tool');
  const message = `tool \`${tool}\`: enforcecore failed while it ran the tool`;
  return { ...notPerformed(failure('crashed', 'ENF_INTERNAL', message, { cause })), isRun: true };
}

function outcomeOf(
  { call, sent, admission }: CallFacts,
  performed: Performance,
  receipt?: AuditReceipt,
): Outcome {
  const { isolation, usage, stdout, stderr, limitsHit, outputCounts, end } = performed;
  const facts: OutcomeFacts = {
    callId: call.callId,
    tool: call.tool,
    target: identityOf(call),
    decision: decisionWith(admission.decision, performed.reasons),
    isolation,
    usage,
    redactions: {
      input: total(sent.counts),
      output: total(outputCounts),
      byCategory: addCounts(sent.counts, outputCounts),
    },
    stdout,
    stderr,
    limitsHit,
    ...(receipt === undefined ? {} : { audit: receipt }),
  };
  // A worker's value was checked to be JSON; a function's own type is stated by its wrapper.
  return { ...facts, ...end } as Outcome;
}

/** Output rules that spoke without withholding the output are reasons that would have denied. */
function decisionWith(decision: Decision, reasons: readonly Reason[]): Decision {
  if (reasons.length === 0) return decision;
  return { ...decision, wouldDeny: true, reasons: [...decision.reasons, ...reasons] };
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
