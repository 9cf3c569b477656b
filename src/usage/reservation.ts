import type { Reason } from '../call.ts';

/**
 * One thing a call needs before it may run. `key` names the account it is taken from: calls with
 * the same key share it. `rule` is the policy key to name when it is refused.
 */
export type Reservation = SlotReservation | WindowReservation | BudgetReservation;

/** A place among the calls that run at the same time. Given back when the call ends. */
export interface SlotReservation {
  readonly kind: 'slot';
  readonly key: string;
  readonly rule: string;
  readonly callsMax: number;
  /** Where to wait for a free place instead of being refused. */
  readonly queue?: { readonly callsMax: number; readonly waitMs: number };
}

/**
 * `amount` within a sliding window: 1 for a rate, or an argument's value for a sum. Never given
 * back when the call ran: it happened.
 */
export interface WindowReservation {
  readonly kind: 'window';
  readonly key: string;
  readonly rule: string;
  readonly amount: number;
  readonly amountMax: number;
  readonly windowMs: number;
}

/** Money, in whole micro-dollars. Held while the call runs, then spent. */
export interface BudgetReservation {
  readonly kind: 'budget';
  readonly key: string;
  readonly rule: string;
  readonly microUsd: number;
  readonly microUsdMax: number;
}

/** What a store says to a request: everything is granted, or why nothing is. */
export type Admission =
  | { readonly granted: true }
  | {
      readonly granted: false;
      readonly refusals: readonly Refusal[];
    };

/** A reservation that could not be granted. */
export interface Refusal {
  readonly reservation: Reservation;
  readonly reason: Reason;
  /** When the same request might be granted; absent when waiting does not help. */
  readonly retryAfterMs?: number;
}
