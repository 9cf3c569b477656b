import type { CallContext, Decision, Json, Reason, TargetIdentity } from '../call.ts';
import { EnforceError } from '../errors.ts';
import {
  type CompiledPolicy,
  compilePolicy,
  decide,
  foldToolName,
  type GateDecision,
  type ToolRules,
} from '../gate/index.ts';
import type { Policy } from '../policy/index.ts';
import type { Redactor } from '../redaction/index.ts';
import { loadSettings } from '../settings.ts';
import {
  createLedger,
  createSessionHistories,
  memoryStore,
  type Reservation,
} from '../usage/index.ts';
import { plainDecision } from './admit.ts';
import { checkDryRunCall } from './call-options.ts';
import { checkEnforcerOptions, type EnforcerOptions } from './enforcer-options.ts';
import { freezeArguments, type IdentifiedCall } from './identify.ts';
import { policyFrom } from './policy-source.ts';
import { type Counts, redactArguments } from './redact-call.ts';
import { redactorCache } from './redactor-cache.ts';

/** A call as it was, or might be, asked for. */
export interface DryRunCall {
  readonly tool: string;
  /** I-JSON, as for a real call. Default: `{}`. */
  readonly args?: unknown;
  readonly context?: CallContext;
  /** What would run; a tool that the policy pins is denied without it. */
  readonly target?: TargetIdentity;
  /**
   * Milliseconds since 1970. Time never goes back: an earlier call counts as made when the one
   * before it was. Default: `intervalMs` after the call before it.
   */
  readonly at?: number;
}

/** What the policy says about one call. */
export interface DryRunResult {
  /** Place of the call in the input, from 0. */
  readonly index: number;
  readonly tool: string;
  /** With every reason, those of rates and budgets too. */
  readonly decision: Decision;
  /** What would be redacted in the arguments, by category; nothing for a call that is refused. */
  readonly redactions: Counts;
  /** The time for which the call was judged. */
  readonly at: number;
}

/** What a dry run takes besides calls and policy. */
export interface DryRunOptions extends Pick<EnforcerOptions, 'patterns' | 'rules' | 'settings'> {
  /**
   * Time from one call to the next where calls do not say when they were made, ms >= 0. Default: 0,
   * all at once, which is the strictest reading: the 11th call of ten a minute is denied.
   */
  readonly intervalMs?: number;
}

/** A policy that is tried on calls, one after the other. */
export interface DryRun {
  readonly policy: Policy;

  /**
   * Decides the next call. Calls are judged in the order in which they are asked.
   *
   * @throws {EnforceError} `ENF_CALL_ARGUMENT` for a malformed call, which then counts as not made
   */
  judge(call: DryRunCall): Promise<DryRunResult>;
}

/**
 * Decides calls as if each allowed one had run at once and ended well, with every reason. Nothing
 * runs, nothing is charged and nothing is recorded: rates, budgets and sessions are those of this
 * dry run alone. What only a run can tell (results, limits of the call, isolation) is not judged.
 * Memory does not grow with the number of calls.
 *
 * @param policy - path of a policy, its content, or a loaded one
 * @throws {EnforceError} `ENF_POLICY_*`, `ENF_SETTINGS_INVALID`; `ENF_CALL_ARGUMENT` for a malformed
 *   call or option
 */
export async function* dryRun(
  calls: Iterable<DryRunCall> | AsyncIterable<DryRunCall>,
  policy: string | object,
  options: DryRunOptions = {},
): AsyncGenerator<DryRunResult, void, undefined> {
  const trial = await createDryRun(policy, options);
  for await (const call of calls) yield await trial.judge(call);
}

/**
 * {@link dryRun} for whoever has the calls one by one, or compares policies over the same calls.
 *
 * @throws {EnforceError} `ENF_POLICY_*`, `ENF_SETTINGS_INVALID`, `ENF_CALL_ARGUMENT`
 */
export async function createDryRun(
  policy: string | object,
  { intervalMs = 0, ...options }: DryRunOptions = {},
): Promise<DryRun> {
  checkEnforcerOptions({ policy, ...options });
  if (!(intervalMs >= 0 && Number.isFinite(intervalMs))) {
    throw new EnforceError('ENF_CALL_ARGUMENT', '`intervalMs` must be a number >= 0');
  }
  const sources = { env: process.env, cwd: process.cwd() };
  const { basePolicy } = options.settings ?? (await loadSettings(sources));
  return new PolicyTrial(await policyFrom(policy, basePolicy), { ...options, intervalMs });
}

class PolicyTrial implements DryRun {
  readonly policy: Policy;
  readonly #compiled: CompiledPolicy;
  readonly #redactorFor: (rules: ToolRules) => Redactor;
  readonly #intervalMs: number;
  readonly #histories = createSessionHistories(foldToolName);
  readonly #ledger = createLedger({ store: memoryStore(), clock: () => this.#now });
  #now = 0;
  #index = 0;

  constructor(policy: Policy, options: DryRunOptions & { readonly intervalMs: number }) {
    this.policy = policy;
    this.#compiled = compilePolicy(policy, { rules: options.rules ?? [] });
    this.#redactorFor = redactorCache(options.patterns);
    this.#intervalMs = options.intervalMs;
  }

  async judge(call: DryRunCall): Promise<DryRunResult> {
    checkDryRunCall(call);
    const index = this.#index;
    const elapsed = index === 0 ? 0 : this.#intervalMs;
    this.#now = Math.max(this.#now, call.at ?? this.#now + elapsed);
    this.#index += 1;
    const { decision, redactions } = await this.#decide(call, String(index));
    return { index, tool: call.tool, decision, redactions, at: this.#now };
  }

  async #decide(
    {
      tool,
      args = {},
      context = {},
      target = null,
    }: Omit<DryRunCall, 'target'> & {
      readonly target?: TargetIdentity | null;
    },
    callId: string,
  ): Promise<Pick<DryRunResult, 'decision' | 'redactions'>> {
    const rules = this.#compiled.rulesFor(tool);
    const call = identified(
      { callId, tool, context },
      freezeArguments(args, rules.confinement.limits),
    );
    const sent = redactArguments(call, this.#redactorFor(rules), rules);
    const judged = decide(this.#compiled, {
      call: { tool, args: call.args, context },
      redactedArgs: sent.args,
      target,
      killSwitch: null,
      history: this.#histories.of(context),
      now: this.#now,
    });
    const refusals = [...call.refusals, ...sent.refusals];
    if (judged.effect === 'deny' || refusals.length > 0) return denied(judged, refusals);
    const wanted = judged.reservations.map(withoutQueue);
    const answer = await this.#ledger.reserve(wanted, { callId });
    if (!answer.granted) return denied(judged, answer.reasons);
    await answer.grant.settle();
    this.#histories.begin(context, tool, this.#now).ended({ at: this.#now, ok: true });
    return { decision: plainDecision(judged), redactions: sent.counts };
  }
}

/** As `identify` does, but for the target: there is none to look for. */
function identified(
  call: Pick<IdentifiedCall, 'callId' | 'tool' | 'context'>,
  frozen: ReturnType<typeof freezeArguments>,
): IdentifiedCall {
  if ('refusal' in frozen) {
    return { ...call, target: null, argsJson: null, args: null, refusals: [frozen.refusal] };
  }
  const args = JSON.parse(frozen.json) as Json;
  return { ...call, target: null, argsJson: frozen.json, args, refusals: [] };
}

/** One call runs at a time here, so nobody waits. */
function withoutQueue(reservation: Reservation): Reservation {
  if (reservation.kind !== 'slot') return reservation;
  const { queue: _, ...slot } = reservation;
  return slot;
}

function denied(
  judged: GateDecision,
  more: readonly Reason[],
): Pick<DryRunResult, 'decision' | 'redactions'> {
  const { policy, reasons } = judged;
  const all = [...more, ...reasons];
  return { decision: { effect: 'deny', reasons: all, wouldDeny: false, policy }, redactions: {} };
}
