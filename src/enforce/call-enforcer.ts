import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AuditTrail } from '../audit/index.ts';
import type { CallContext, Json, Outcome, ToolTarget } from '../call.ts';
import { CallDeniedError, EnforceError } from '../errors.ts';
import { type CompiledPolicy, type CustomRule, compilePolicy } from '../gate/index.ts';
import {
  checkTarget,
  defaultToolName,
  FunctionRunner,
  type HostTiers,
  type StopReason,
} from '../isolation/index.ts';
import type { Policy } from '../policy/index.ts';
import { createRedactor, type PatternRegistry } from '../redaction/index.ts';
import {
  createLedger,
  type KillSwitch,
  type KillSwitchChange,
  type StateStore,
} from '../usage/index.ts';
import {
  checkContext,
  checkRunOptions,
  checkWrapOptions,
  type RunOptions,
  type WrapOptions,
} from './call-options.ts';
import { guardCallbacks } from './caller-callbacks.ts';
import { currentCall } from './current-call.ts';
import { enforceCall } from './enforce-call.ts';
import { EnforcedFetch } from './enforced-fetch.ts';
import type { Enforcer, ScopeOptions } from './enforcer.ts';
import { type ExplainOptions, type Explanation, explainCall } from './explain-call.ts';
import { type AnyFunction, bindArguments, checkFunction } from './function-target.ts';
import { unwrap } from './outcome.ts';
import type { CallRequest, EnforcementParts } from './parts.ts';
import { policyFrom, refuseOverlap, requireNoTrail } from './policy-source.ts';
import { redactorCache } from './redactor-cache.ts';
import { type ScopeBudget, scopeBudget } from './scope-budget.ts';

/** What an enforcer is made from; it closes all of it. */
export interface EnforcerParts {
  readonly policy: Policy;
  readonly trail: AuditTrail | null;
  readonly patterns: PatternRegistry | undefined;
  readonly rules: readonly CustomRule[];
  readonly basePolicy: string | null;
  /** What tools may neither read nor write: trail, key, policies, state. */
  readonly protectedPaths: readonly string[];
  readonly store: StateStore;
  readonly logger: Logger;
  readonly killSwitch: KillSwitch;
  readonly tiers: HostTiers;
}

/** A name that no policy can narrow. */
const NO_TOOL = '';

/** What a call inherits from the call or scope it is made in. */
interface Surrounding {
  readonly context: CallContext;
  readonly depth: number;
  readonly budgets: readonly ScopeBudget[];
}

/** One policy, one trail, one ledger, for many calls. */
export class CallEnforcer implements Enforcer {
  readonly killSwitch: KillSwitch;
  readonly #parts: EnforcementParts;
  readonly #rules: readonly CustomRule[];
  readonly #basePolicy: string | null;
  readonly #protectedPaths: readonly string[];
  readonly #tiers: HostTiers;
  readonly #running = new Map<AbortController, Promise<unknown>>();
  readonly #surrounding: AsyncLocalStorage<Surrounding> = new AsyncLocalStorage();
  readonly #fetches: EnforcedFetch;
  readonly #forgetKillSwitch: () => void;
  #compiled: CompiledPolicy;
  #reloads = { asked: 0, done: 0 };
  #closing: Promise<void> | null = null;

  constructor(made: EnforcerParts) {
    const { policy, trail, patterns, store, logger, killSwitch, tiers } = made;
    this.killSwitch = killSwitch;
    this.#tiers = tiers;
    this.#fetches = new EnforcedFetch(trail);
    this.#rules = made.rules;
    this.#basePolicy = made.basePolicy;
    this.#protectedPaths = made.protectedPaths;
    this.#compiled = compilePolicy(policy, { rules: made.rules });
    const clock = (): number => performance.now();
    this.#parts = {
      compiled: this.#compiled,
      redactorFor: redactorCache(patterns),
      secretFinder: createRedactor({ secret_detection: { categories: 'all' } }),
      sessions: store,
      ledger: createLedger({ store, clock }),
      killSwitch,
      trail,
      surroundings: {
        cwd: process.cwd(),
        searchPath: process.env['PATH'] ?? '',
        digests: new Map(),
      },
      logger,
      clock,
    };
    this.#forgetKillSwitch = killSwitch.onChange((change) => this.#onKillSwitch(change));
    this.#parts.ledger.onThreshold((crossing) => logger.warn(crossing, 'budget threshold reached'));
  }

  get policy(): Policy {
    return this.#compiled.policy;
  }

  async run<T = Json | undefined>(
    target: ToolTarget,
    args: unknown = {},
    options: RunOptions = {},
  ): Promise<Outcome<T>> {
    checkRunOptions(options);
    const { tool, context = {}, signal, onLog, onProgress, ...limits } = options;
    const call = {
      target,
      args,
      tool: tool ?? defaultToolName(checkTarget(target)),
      runners: this.#tiers.runners,
      shortfalls: this.#tiers.shortfalls,
      limits,
      ...(onLog === undefined ? {} : { onLog }),
      ...(onProgress === undefined ? {} : { onProgress }),
    };
    // A worker's value was checked to be JSON; its exact type is the caller's claim.
    return (await this.#enforce(call, context, signal)) as Outcome<T>;
  }

  async explain(target: ToolTarget, options: ExplainOptions = {}): Promise<Explanation> {
    return explainCall(
      { compiled: this.#compiled, surroundings: this.#parts.surroundings, tiers: this.#tiers },
      target,
      options,
    );
  }

  wrap<A extends unknown[], R>(
    tool: string,
    fn: (...args: A) => R,
    options: WrapOptions = {},
  ): (...args: A) => Promise<Awaited<R>> {
    checkFunction(fn);
    checkWrapOptions(options);
    const enforce = this.#enforce.bind(this);
    const { params, trusted = [], context = {} } = options;
    const runners = [new FunctionRunner(trusted)];
    return async function enforced(this: unknown, ...values: A): Promise<Awaited<R>> {
      const bound = bindArguments(fn as AnyFunction, this, values, { tool, params });
      const outcome = await enforce(
        { ...bound, tool, runners, shortfalls: [], limits: {} },
        context,
      );
      return unwrap(outcome as Outcome<Awaited<R>>);
    };
  }

  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    this.#refuseClosed();
    const { tripped, reason = 'no reason given' } = this.killSwitch.state;
    if (tripped) throw new CallDeniedError('ENF_DENIED_KILL_SWITCH', `kill switch: ${reason}`);
    const { callId = randomUUID(), tool = NO_TOOL } = currentCall() ?? {};
    const rules = this.#compiled.rulesFor(tool).confinement.network;
    return this.#fetches.fetch({ rules, callId }, input, init);
  }

  async scope<R>(
    { context = {}, budgetUsd }: ScopeOptions,
    body: (scope: Enforcer) => R | Promise<R>,
  ): Promise<R> {
    checkContext(context);
    const outer = this.#surrounding.getStore();
    const own = budgetUsd === undefined ? [] : [scopeBudget(randomUUID(), budgetUsd)];
    const inner = {
      depth: outer?.depth ?? -1,
      context: { ...outer?.context, ...context },
      budgets: [...(outer?.budgets ?? []), ...own],
    };
    return this.#surrounding.run(inner, async () => body(this));
  }

  async reload(source: string | object): Promise<void> {
    this.#reloads.asked += 1;
    const turn = this.#reloads.asked;
    const policy = await policyFrom(source, this.#basePolicy);
    if (this.#parts.trail === null) requireNoTrail(policy);
    refuseOverlap(policy, this.#protectedPaths);
    // A slow file must not put an older wish over a newer one.
    if (turn < this.#reloads.done) return;
    this.#compiled = compilePolicy(policy, { rules: this.#rules });
    this.#reloads.done = turn;
    // None of them would be used again where the policy has changed; none waits for its idle time.
    await this.#tiers.pool?.clear();
  }

  async close({ graceMs = 5000 }: { readonly graceMs?: number } = {}): Promise<void> {
    if (typeof graceMs !== 'number' || !(graceMs >= 0)) {
      const message = `\`graceMs\` must be a number >= 0, got ${typeof graceMs}`;
      throw new EnforceError('ENF_CALL_ARGUMENT', message);
    }
    this.#closing ??= this.#shutDown(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #enforce(
    call: Omit<CallRequest, 'context' | 'depth' | 'budgets' | 'stop'>,
    context: CallContext,
    signal?: AbortSignal,
  ): Promise<Outcome> {
    this.#refuseClosed();
    const outer = this.#surrounding.getStore();
    const inner = {
      context: { ...outer?.context, ...context },
      depth: (outer?.depth ?? -1) + 1,
      budgets: outer?.budgets ?? [],
    };
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(abortReason(signal));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const parts = { ...this.#parts, compiled: this.#compiled };
    const onFailure = (message: string): void => stop.abort({ status: 'aborted', message });
    const callbacks = guardCallbacks(call, onFailure);
    const request = { ...call, ...callbacks, ...inner, stop: stop.signal };
    const running = this.#surrounding.run({ ...inner }, () => enforceCall(parts, request));
    this.#running.set(stop, running);
    try {
      const outcome = await running;
      this.#log(outcome);
      return outcome;
    } finally {
      this.#running.delete(stop);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #refuseClosed(): void {
    if (this.#closing === null) return;
    throw new EnforceError('ENF_CALL_CLOSED', 'the enforcer is closed; make a new one');
  }

  #log({ callId, tool, status, usage, isolation }: Outcome): void {
    const { wallMs } = usage;
    this.#parts.logger.info({ callId, tool, status, wallMs, tier: isolation.tier }, 'call ended');
  }

  #stopAll(reason: StopReason): void {
    for (const stop of this.#running.keys()) stop.abort(reason);
    this.#fetches.stop();
  }

  #onKillSwitch({ tripped, reason = 'no reason given', by }: KillSwitchChange): void {
    if (tripped) {
      this.#stopAll({ status: 'killed', message: `kill switch: ${reason}` });
      // A worker that serves several calls may still run what an earlier one left in it.
      void this.#tiers.pool?.clear();
    }
    this.#parts.logger.warn({ tripped, reason, by }, 'kill switch');
    const action = tripped ? 'trip' : 'reset';
    this.#parts.trail
      ?.append({ type: 'kill_switch', action, reason, actor: by })
      .catch((err: unknown) => this.#parts.logger.error({ err }, 'kill switch not recorded'));
  }

  async #shutDown(graceMs: number): Promise<void> {
    const ended = Promise.allSettled(this.#running.values());
    await within(ended, graceMs);
    this.#stopAll({ status: 'killed', message: 'the enforcer was closed' });
    await ended;
    this.#forgetKillSwitch();
    this.killSwitch.close();
    const { ledger, trail } = this.#parts;
    await closeAll([
      ...this.#tiers.runners,
      this.#fetches,
      ledger,
      ...(trail === null ? [] : [trail]),
    ]);
  }
}

/** Longest delay of setTimeout (24 days). */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Waits for something to end, no longer than `ms`. */
async function within(ended: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  const options = { signal: over.signal };
  const deadline = ms > TIMER_MS_MAX ? [] : [delay(ms, undefined, options).catch(() => {})];
  await Promise.race([ended, ...deadline]);
  over.abort();
}

/** Closes everything, also when some of it fails; then throws the first failure. */
async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const results: PromiseSettledResult<void>[] = [];
  for (const part of parts) results.push(...(await Promise.allSettled([part.close()])));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function abortReason(signal: AbortSignal | undefined): StopReason {
  const reason: unknown = signal?.reason;
  const why = reason instanceof Error ? reason.message : 'the caller aborted the call';
  return { status: 'aborted', message: why };
}
