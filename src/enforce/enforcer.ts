import { AsyncLocalStorage } from 'node:async_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { type AuditTrail, openTrail, type TrailOptions } from '../audit/index.ts';
import type { CallContext, Json, Outcome, ToolTarget } from '../call.ts';
import { AuditError, EnforceError } from '../errors.ts';
import { type CompiledPolicy, compilePolicy, foldToolName, type ToolRules } from '../gate/index.ts';
import {
  defaultToolName,
  FunctionRunner,
  type HostTiers,
  openHostTiers,
  type StopReason,
  sweepScratch,
} from '../isolation/index.ts';
import { loadPolicy, type Policy, shippedDefault } from '../policy/index.ts';
import {
  createRedactor,
  type PatternRegistry,
  type RedactionRules,
  type Redactor,
} from '../redaction/index.ts';
import { loadSettings, type Settings } from '../settings.ts';
import {
  createKillSwitch,
  createLedger,
  createSessionHistories,
  type KillSwitch,
  type KillSwitchChange,
  memoryStore,
  type StateStore,
} from '../usage/index.ts';
import type { RunOptions, WrapOptions } from './call-options.ts';
import { enforceCall } from './enforce-call.ts';
import { type AnyFunction, bindArguments } from './function-target.ts';
import { unwrap } from './outcome.ts';
import type { CallRequest, EnforcementParts } from './parts.ts';

/** How an enforcer is made. */
export interface EnforcerOptions {
  /** Path of a policy, its content, or a loaded one. Default: the shipped `policies/default.yaml`. */
  readonly policy?: string | object;
  /** Where the trail goes; `false` switches audit off. Default: as the settings say. */
  readonly audit?: false | TrailOptions;
  /** Patterns of the program's own, redacted in every call. */
  readonly patterns?: PatternRegistry;
  /** Counters of rates, budgets and concurrency. Default: this process's memory. */
  readonly store?: StateStore;
  /** Default: silent. */
  readonly logger?: Logger;
  /** Default: from the environment and `enforcecore.config.yaml`. */
  readonly settings?: Settings;
}

/** What groups calls in {@link Enforcer.scope}. */
export interface ScopeOptions {
  /** Added to the context of every call inside. */
  readonly context?: CallContext;
}

/** One policy, one trail, one ledger, for many calls. The owner closes it. */
export interface Enforcer extends AsyncDisposable {
  /** The policy in force. */
  readonly policy: Policy;
  readonly killSwitch: KillSwitch;
  /**
   * Runs a tool isolated. Failures are outcomes, not exceptions.
   *
   * @throws {EnforceError} only for misuse: `ENF_CALL_ARGUMENT`, `ENF_CALL_LOOSER`, `ENF_CALL_CLOSED`
   */
  run<T = Json | undefined>(
    target: ToolTarget,
    args?: unknown,
    options?: RunOptions,
  ): Promise<Outcome<T>>;
  /**
   * A function of this process under the policy: rules, redaction and audit, no isolation. The
   * result throws the outcome's error when the call is denied or fails.
   */
  wrap<A extends unknown[], R>(
    tool: string,
    fn: (...args: A) => R,
    options?: WrapOptions,
  ): (...args: A) => Promise<Awaited<R>>;
  /** Runs `body` with a context that every call inside it inherits; scopes nest. */
  scope<R>(options: ScopeOptions, body: (scope: Enforcer) => R | Promise<R>): Promise<R>;
  /**
   * Replaces the policy for calls that start from now on. A bad one throws, and the old one stays.
   *
   * @throws {PolicyError} with every problem
   */
  reload(policy: string | object): Promise<void>;
  /** Refuses new calls, waits for running ones up to `graceMs` (default 5000), then kills them. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Makes an enforcer: loads the policy, opens the audit trail, finds out what this host can enforce.
 *
 * @throws {EnforceError} `ENF_POLICY_*`, `ENF_AUDIT_*`, `ENF_SETTINGS_INVALID`
 */
export async function createEnforcer(options: EnforcerOptions = {}): Promise<Enforcer> {
  const sources = { env: process.env, cwd: process.cwd() };
  const settings = options.settings ?? (await loadSettings(sources));
  const policy = await policyFrom(options.policy);
  const trail = await openAudit(policy, settings, options.audit);
  await sweepScratch(tmpdir(), isAlive);
  const { stateDir } = settings;
  const killFile = stateDir === null ? {} : { file: join(stateDir, 'KILL') };
  return new CallEnforcer({
    policy,
    trail,
    patterns: options.patterns,
    store: options.store ?? memoryStore(),
    logger: options.logger ?? pino({ level: 'silent' }),
    killSwitch: createKillSwitch(killFile),
    tiers: await openHostTiers(protectedPaths(policy, settings, trail)),
  });
}

async function policyFrom(source: string | object | undefined): Promise<Policy> {
  if (source === undefined) return loadPolicy(shippedDefault());
  return isPolicy(source) ? source : loadPolicy(source);
}

function isPolicy(source: string | object): source is Policy {
  return typeof source === 'object' && 'document' in source && 'digest' in source;
}

async function openAudit(
  policy: Policy,
  settings: Settings,
  audit: EnforcerOptions['audit'],
): Promise<AuditTrail | null> {
  if (audit === false || (audit === undefined && !settings.auditEnabled)) {
    if (policy.document.audit?.required !== true) return null;
    const message = `policy \`${policy.name}\` requires an audit trail, but audit is switched off`;
    throw new AuditError('ENF_AUDIT_REQUIRED', message);
  }
  return openTrail(audit ?? { path: settings.auditPath, durability: settings.auditDurability });
}

/** What no tool may read, whatever its policy grants. */
function protectedPaths(
  { files }: Policy,
  { stateDir }: Settings,
  trail: AuditTrail | null,
): readonly string[] {
  const folders = [trail?.path ?? null, stateDir].filter((path) => path !== null);
  return [...files, ...folders];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

interface EnforcerParts {
  readonly policy: Policy;
  readonly trail: AuditTrail | null;
  readonly patterns: PatternRegistry | undefined;
  readonly store: StateStore;
  readonly logger: Logger;
  readonly killSwitch: KillSwitch;
  readonly tiers: HostTiers;
}

/** What a call inherits from the call or scope it is made in. */
interface Surrounding {
  readonly context: CallContext;
  readonly depth: number;
}

class CallEnforcer implements Enforcer {
  readonly killSwitch: KillSwitch;
  readonly #parts: EnforcementParts;
  readonly #patterns: PatternRegistry | undefined;
  readonly #tiers: HostTiers;
  readonly #running = new Map<AbortController, Promise<unknown>>();
  readonly #surrounding: AsyncLocalStorage<Surrounding> = new AsyncLocalStorage();
  readonly #forgetKillSwitch: () => void;
  #compiled: CompiledPolicy;
  #closing: Promise<void> | null = null;

  constructor({ policy, trail, patterns, store, logger, killSwitch, tiers }: EnforcerParts) {
    this.killSwitch = killSwitch;
    this.#patterns = patterns;
    this.#tiers = tiers;
    this.#compiled = compilePolicy(policy);
    const clock = (): number => performance.now();
    this.#parts = {
      compiled: this.#compiled,
      redactorFor: this.#redactors(),
      histories: createSessionHistories(foldToolName),
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
  }

  get policy(): Policy {
    return this.#compiled.policy;
  }

  async run<T = Json | undefined>(
    target: ToolTarget,
    args: unknown = {},
    options: RunOptions = {},
  ): Promise<Outcome<T>> {
    const { tool, context = {}, signal, onLog, onProgress, ...limits } = options;
    const call = {
      target,
      args,
      tool: tool ?? defaultToolName(target),
      ...this.#tiers,
      limits,
      ...(onLog === undefined ? {} : { onLog }),
      ...(onProgress === undefined ? {} : { onProgress }),
    };
    // A worker's value was checked to be JSON; its exact type is the caller's claim.
    return (await this.#enforce(call, context, signal)) as Outcome<T>;
  }

  wrap<A extends unknown[], R>(
    tool: string,
    fn: (...args: A) => R,
    options: WrapOptions = {},
  ): (...args: A) => Promise<Awaited<R>> {
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

  async scope<R>(
    { context = {} }: ScopeOptions,
    body: (scope: Enforcer) => R | Promise<R>,
  ): Promise<R> {
    const outer = this.#surrounding.getStore();
    const inner = { depth: outer?.depth ?? -1, context: { ...outer?.context, ...context } };
    return this.#surrounding.run(inner, async () => body(this));
  }

  async reload(source: string | object): Promise<void> {
    this.#compiled = compilePolicy(await policyFrom(source));
  }

  close({ graceMs = 5000 }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#shutDown(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #enforce(
    call: Pick<CallRequest, 'target' | 'args' | 'tool' | 'runners' | 'shortfalls' | 'limits'>,
    context: CallContext,
    signal?: AbortSignal,
  ): Promise<Outcome> {
    if (this.#closing !== null) {
      throw new EnforceError('ENF_CALL_CLOSED', 'the enforcer is closed; make a new one');
    }
    const outer = this.#surrounding.getStore();
    const inner = {
      context: { ...outer?.context, ...context },
      depth: (outer?.depth ?? -1) + 1,
    };
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(abortReason(signal));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const parts = { ...this.#parts, compiled: this.#compiled };
    const request = { ...call, ...inner, stop: stop.signal };
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

  #log({ callId, tool, status, usage, isolation }: Outcome): void {
    const { wallMs } = usage;
    this.#parts.logger.info({ callId, tool, status, wallMs, tier: isolation.tier }, 'call ended');
  }

  #stopAll(reason: StopReason): void {
    for (const stop of this.#running.keys()) stop.abort(reason);
  }

  #onKillSwitch({ tripped, reason = 'no reason given', by }: KillSwitchChange): void {
    if (tripped) this.#stopAll({ status: 'killed', message: `kill switch: ${reason}` });
    this.#parts.logger.warn({ tripped, reason, by }, 'kill switch');
    const action = tripped ? 'trip' : 'reset';
    this.#parts.trail
      ?.append({ type: 'kill_switch', action, reason, actor: by })
      .catch((err: unknown) => this.#parts.logger.error({ err }, 'kill switch not recorded'));
  }

  #redactors(): (rules: ToolRules) => Redactor {
    const made = new WeakMap<ToolRules, Redactor>();
    const options = this.#patterns === undefined ? {} : { patterns: this.#patterns };
    return (rules) => {
      const known = made.get(rules);
      if (known !== undefined) return known;
      // The policy schema and the redactor share their lists of names (held by a test).
      const redactor = createRedactor(rules.redaction as RedactionRules, options);
      made.set(rules, redactor);
      return redactor;
    };
  }

  async #shutDown(graceMs: number): Promise<void> {
    const ended = Promise.allSettled(this.#running.values());
    const grace = new AbortController();
    await Promise.race([
      ended,
      delay(graceMs, undefined, { signal: grace.signal }).catch(() => {}),
    ]);
    grace.abort();
    this.#stopAll({ status: 'killed', message: 'the enforcer was closed' });
    await ended;
    this.#forgetKillSwitch();
    this.killSwitch.close();
    await Promise.all(this.#tiers.runners.map((runner) => runner.close()));
    await this.#parts.ledger.close();
    await this.#parts.trail?.close();
  }
}

function abortReason(signal: AbortSignal | undefined): StopReason {
  const reason: unknown = signal?.reason;
  const why = reason instanceof Error ? reason.message : 'the caller aborted the call';
  return { status: 'aborted', message: why };
}
