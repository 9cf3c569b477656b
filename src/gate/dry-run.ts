import type { CallContext, Json, TargetIdentity, ToolCall } from '../call.ts';
import {
  createLedger,
  createSessionHistories,
  memoryStore,
  type Reservation,
} from '../usage/index.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { decide, type GateDecision } from './decide.ts';
import { foldToolName } from './tool-name.ts';

/** A call as it was, or might be, asked for. */
export interface DryRunCall {
  readonly tool: string;
  readonly args: Json;
  readonly context?: CallContext;
  readonly target?: TargetIdentity;
  /** Milliseconds since 1970, not before the call before it. Without it rates are not judged. */
  readonly at?: number;
}

/** What the policy says about one call. */
export interface DryRunResult {
  /** Place of the call in the input, from 0. */
  readonly index: number;
  readonly tool: string;
  /** With the reasons of rates and budgets too; reservations are what a real call would need. */
  readonly decision: GateDecision;
  /** Rules that could not be judged because the call has no time. */
  readonly unjudged: readonly string[];
}

/** How a dry run sees the calls. */
export interface DryRunOptions {
  /** What would be sent instead of the arguments. The arguments themselves by default. */
  readonly redact?: (call: ToolCall) => Json;
}

/**
 * Decides a list of calls as if each allowed one had run and ended well, with every reason. Nothing
 * runs, and nothing is charged: rates, budgets and sessions are those of this dry run alone. Memory
 * does not grow with the number of calls.
 */
export async function* dryRun(
  compiled: CompiledPolicy,
  calls: Iterable<DryRunCall> | AsyncIterable<DryRunCall>,
  options: DryRunOptions = {},
): AsyncGenerator<DryRunResult, void, undefined> {
  const clock = { now: 0 };
  const ledger = createLedger({ store: memoryStore(), clock: () => clock.now });
  const histories = createSessionHistories(foldToolName);
  let index = 0;
  for await (const { tool, args, context = {}, target = null, at } of calls) {
    clock.now = Math.max(clock.now, at ?? 0);
    const call: ToolCall = { tool, args, context };
    const decision = decide(compiled, {
      call,
      redactedArgs: options.redact?.(call) ?? args,
      target,
      killSwitch: null,
      history: histories.of(context),
      now: clock.now,
    });
    const isJudged = (each: Reservation): boolean => at !== undefined || each.kind !== 'window';
    const wanted = decision.reservations.filter(isJudged).map(withoutQueue);
    const answer = await ledger.reserve(wanted, { callId: String(index) });
    if (answer.granted) {
      await answer.grant.settle();
      if (decision.effect === 'allow') {
        histories.begin(context, tool, clock.now).ended({ at: clock.now, ok: true });
      }
    }
    const unjudged = decision.reservations
      .filter((each) => !isJudged(each))
      .map(({ rule }) => rule);
    yield {
      index,
      tool,
      decision: answer.granted ? decision : refused(decision, answer.reasons),
      unjudged,
    };
    index += 1;
  }
}

/** One call runs at a time here, so nobody waits. */
function withoutQueue(reservation: Reservation): Reservation {
  if (reservation.kind !== 'slot') return reservation;
  const { queue: _, ...slot } = reservation;
  return slot;
}

function refused(decision: GateDecision, reasons: GateDecision['reasons']): GateDecision {
  return {
    ...decision,
    effect: 'deny',
    wouldDeny: false,
    reasons: [...decision.reasons, ...reasons],
  };
}
