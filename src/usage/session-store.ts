import type { SessionHistory } from './session-history.ts';

/** A call that is judged by what its session did, and noted in it when it is allowed. */
export interface SessionEntry {
  /** Names the session; unique among all policies, tenants and agents that share the store. */
  readonly session: string;
  /** The tool, folded as the gate compares names. */
  readonly tool: string;
  readonly callId: string;
  /** Ms since 1970. A store with a clock of its own uses that instead. */
  readonly now: number;
  /**
   * False when no rule of the policy is about what a session did before. A store for which noting
   * costs something then does not, and its histories begin with the first policy that has such rules.
   */
  readonly isRuled: boolean;
}

/** How a call of a session ended: refused after all or never run, badly, or well. */
export type SessionEnd = 'refused' | 'failed' | 'ok';

/** Judges a call by what its session did so far. Synchronous; it may be asked more than once. */
export type SessionJudge<T> = (history: SessionHistory, now: number) => T;

/** Where the histories of sessions are kept. Each method is one atomic step. */
export interface SessionStore {
  /**
   * Lets `judge` decide on a call and notes it when it is allowed: no other call of the session, in
   * whatever process, comes between the two.
   *
   * @throws {EnforceError} `ENF_STATE_STORE` when the history cannot be known; the call must not run
   */
  enterSession<T extends { readonly effect: 'allow' | 'deny' }>(
    entry: SessionEntry,
    judge: SessionJudge<T>,
  ): Promise<T>;

  /** Ends a call that was noted. Takes effect once; unknown calls are ignored. */
  leaveSession(callId: string, end: SessionEnd, now: number): Promise<void>;
}
