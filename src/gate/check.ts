import type { Json, Reason, TargetIdentity, ToolCall } from '../call.ts';
import type { Reservation, SessionHistory } from '../usage/index.ts';

/** Everything a decision depends on. Nothing else is consulted: no clock, no file, no network. */
export interface DecisionRequest {
  readonly call: ToolCall;
  /** The arguments that will be sent. */
  readonly redactedArgs: Json;
  readonly target: TargetIdentity | null;
  /** Set while the kill switch is tripped. */
  readonly killSwitch: { readonly reason: string } | null;
  readonly history: SessionHistory;
  /** Milliseconds since 1970; the clock that `history` was written with. */
  readonly now: number;
}

/** One rule of a policy, compiled for one tool. */
export interface Check {
  /** Path of the rule in the policy; names it when it fails. */
  readonly rule: string;
  /**
   * `hard` denies; `soft` denies unless `on_violation: log` lets the call through; `record` only
   * speaks.
   */
  readonly force: 'hard' | 'soft' | 'record';
  /** The reasons against a call; none when the rule has nothing against it. A throw denies. */
  run(request: DecisionRequest): readonly Reason[];
}

/** What a rule takes from the ledger for one call. */
export interface Charge {
  readonly rule: string;
  reserve(request: DecisionRequest): Reservation;
}
