import type { CallContext, Json, Outcome, ToolTarget } from '../call.ts';
import type { Policy } from '../policy/index.ts';
import type { KillSwitch } from '../usage/index.ts';
import type { RunOptions, WrapOptions } from './call-options.ts';
import type { ExplainOptions, Explanation } from './explain-call.ts';

/** What groups calls in {@link Enforcer.scope}. */
export interface ScopeOptions {
  /** Added to the context of every call inside. */
  readonly context?: CallContext;
  /** US dollars that all calls inside may cost together, besides the budgets of the policy. */
  readonly budgetUsd?: number;
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
   * What a call would run under: tier, layers, limits, and in detail files, system calls and the
   * launcher's rows. Nothing is run, reserved or recorded.
   */
  explain(target: ToolTarget, options?: ExplainOptions): Promise<Explanation>;
  /**
   * A function of this process under the policy: rules, redaction and audit, no isolation. The
   * result throws the outcome's error when the call is denied or fails.
   */
  wrap<A extends unknown[], R>(
    tool: string,
    fn: (...args: A) => R,
    options?: WrapOptions,
  ): (...args: A) => Promise<Awaited<R>>;
  /**
   * `fetch` for code of this process, under the network rules of the policy; in a function of `wrap`,
   * those of its tool, recorded under its call. Redirects too are judged; each request is in the
   * trail. Nothing makes code use it: it is for code that means well. What of a request cannot be
   * said: `Host`, `Connection`, `Transfer-Encoding`, `Proxy-*`; and no `dispatcher`.
   *
   * @throws {CallDeniedError} `ENF_DENIED_NETWORK`, `ENF_DENIED_KILL_SWITCH`
   * @throws {AuditError} `ENF_AUDIT_WRITE` when this request, or one before it, was not recorded
   * @throws {EnforceError} `ENF_CALL_CLOSED`
   * @throws {TypeError} as the global `fetch`, when the request fails
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Runs `body` with a context and a budget that every call inside it shares; scopes nest. */
  scope<R>(options: ScopeOptions, body: (scope: Enforcer) => R | Promise<R>): Promise<R>;
  /**
   * Replaces the policy for calls that start from now on. A bad one throws, and the old one stays. Of
   * several at a time the one that was asked for last is in force in the end.
   *
   * @throws {PolicyError} with every problem
   * @throws {AuditError} `ENF_AUDIT_REQUIRED` when it requires a trail and audit is off
   */
  reload(policy: string | object): Promise<void>;
  /**
   * Refuses new calls, waits for running ones up to `graceMs` (default 5000, `Infinity` for as long
   * as they take), then kills them. Later calls of it wait for the first.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}
