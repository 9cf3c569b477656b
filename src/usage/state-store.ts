import type { Admission, Reservation } from './reservation.ts';
import type { SessionStore } from './session-store.ts';

/** A request for everything one call needs. */
export interface ReserveRequest {
  /** Names the grant; unique among all processes that share the store. */
  readonly grantId: string;
  readonly reservations: readonly Reservation[];
  /** Milliseconds of the ledger's clock. A store with a clock of its own uses that instead. */
  readonly now: number;
}

/**
 * Where slots, windows, budgets and sessions are kept. Each method is one atomic step: no other process sees
 * half of it. Three small operations on keyed counters, so that one script of a key-value server
 * can implement each.
 */
export interface StateStore extends SessionStore {
  /** Grants every reservation or none. A refusal changes nothing. */
  reserve(request: ReserveRequest): Promise<Admission>;

  /**
   * Ends a grant whose call ran: frees its slots, keeps its place in windows, spends its money.
   *
   * @param actualMicroUsd - what the call says it cost; the reserved amount is the floor
   * @returns what every budget account of the grant now holds
   */
  settle(grantId: string, actualMicroUsd?: number): Promise<readonly BudgetAccount[]>;

  /** Ends a grant whose call never ran: gives everything back. Unknown grants are ignored. */
  release(grantId: string): Promise<void>;

  /** Stops using whatever the store holds open. */
  close(): Promise<void>;
}

/** Money under one key. `reserved` belongs to calls that still run. */
export interface BudgetAccount {
  readonly key: string;
  readonly spentMicroUsd: number;
  /** What the settled call added. */
  readonly lastMicroUsd: number;
  readonly reservedMicroUsd: number;
  readonly maxMicroUsd: number;
}
