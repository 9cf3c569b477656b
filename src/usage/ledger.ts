import { randomUUID } from 'node:crypto';
import type { Reason } from '../call.ts';
import { EnforceError } from '../errors.ts';
import type { Refusal, Reservation } from './reservation.ts';
import type { StateStore } from './state-store.ts';

/** Grants what calls reserve, from one store, on one clock. */
export interface Ledger {
  /**
   * Takes everything a call needs, or nothing. Asks before the tool runs; calls in flight count.
   *
   * @param ids.callId - the call that asks, for messages of a shared store
   */
  reserve(reservations: readonly Reservation[], ids: GrantIds): Promise<GrantAnswer>;

  /** Closes the store. */
  close(): Promise<void>;
}

/** Whom a grant belongs to. */
export interface GrantIds {
  readonly callId: string;
}

export type GrantAnswer =
  | { readonly granted: true; readonly grant: Grant }
  | {
      readonly granted: false;
      readonly reasons: readonly Reason[];
      /** When the same call might be granted; absent when waiting does not help. */
      readonly retryAfterMs?: number;
    };

/** What one call holds. Exactly one of the two takes effect, once; later calls do nothing. */
export interface Grant {
  /**
   * The call ran, whatever became of it.
   *
   * @param actualMicroUsd - what it says it cost, whole micro-dollars >= 0; the reserved amount is
   *   the floor
   */
  settle(actualMicroUsd?: number): Promise<void>;

  /** The call never ran. */
  release(): Promise<void>;
}

export interface LedgerOptions {
  readonly store: StateStore;
  /** Milliseconds that never go back, such as `performance.now`. */
  readonly clock: () => number;
}

/** A ledger over a store. The caller closes it. */
export function createLedger({ store, clock }: LedgerOptions): Ledger {
  return {
    async reserve(reservations, { callId }) {
      const grantId = `${callId}/${randomUUID()}`;
      const admission = await store.reserve({ grantId, reservations, now: clock() });
      if (admission.granted) return { granted: true, grant: grantOf(store, grantId) };
      return { granted: false, ...answerOf(admission.refusals) };
    },
    close: () => store.close(),
  };
}

function answerOf(refusals: readonly Refusal[]): { reasons: Reason[]; retryAfterMs?: number } {
  const waits = refusals.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
  const reasons = refusals.map(({ reason }) => reason);
  const canWait = waits.length > 0 && waits.length === refusals.length;
  return canWait ? { reasons, retryAfterMs: Math.max(...waits) } : { reasons };
}

function grantOf(store: StateStore, grantId: string): Grant {
  let ended: Promise<void> | undefined;
  const once = (end: () => Promise<unknown>): Promise<void> => {
    ended ??= end().then(() => {});
    return ended;
  };
  return {
    settle: async (actualMicroUsd = 0) => {
      if (!Number.isSafeInteger(actualMicroUsd) || actualMicroUsd < 0) {
        const message = `\`actualMicroUsd\` must be a whole number >= 0, got ${actualMicroUsd}`;
        throw new EnforceError('ENF_CALL_ARGUMENT', message);
      }
      await once(() => store.settle(grantId, actualMicroUsd));
    },
    release: () => once(() => store.release(grantId)),
  };
}
