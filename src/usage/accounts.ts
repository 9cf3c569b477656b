import type { Admission, Refusal, Reservation } from './reservation.ts';
import {
  addToWindow,
  EMPTY_WINDOW,
  isExpired,
  refuseWindow,
  type Window,
  withoutGrant,
} from './sliding-window.ts';
import type { BudgetAccount } from './state-store.ts';

/**
 * The books of a ledger as plain data, and the steps that change them. Both stores use these steps;
 * they differ only in where the books lie.
 */
export interface Accounts {
  /** Grants that run, by slot key. */
  readonly slots: Map<string, readonly string[]>;
  readonly windows: Map<string, Window>;
  readonly budgets: Map<string, Budget>;
  readonly grants: Map<string, readonly GrantPart[]>;
}

/** Whole micro-dollars. */
export interface Budget {
  readonly spent: number;
  readonly reserved: number;
  readonly max: number;
}

/** What one grant took from one account, as needed to end it. */
export interface GrantPart {
  readonly kind: Reservation['kind'];
  readonly key: string;
  readonly amount: number;
}

/** Accounts of one kind that may exist; beyond, new ones are refused, not old ones forgotten. */
const KEYS_MAX = 100_000;

/** Below this many windows nobody looks for expired ones. */
const SWEEP_MIN = 1000;

/** Books in which nothing was ever written. */
export function emptyAccounts(): Accounts {
  return { slots: new Map(), windows: new Map(), budgets: new Map(), grants: new Map() };
}

/** Grants every reservation or none; a refusal leaves the books as they were. */
export function admit(
  accounts: Accounts,
  grantId: string,
  reservations: readonly Reservation[],
  now: number,
): Admission {
  sweep(accounts.windows, now);
  const refusals = reservations.flatMap((each) => refuse(accounts, each, now) ?? []);
  if (refusals.length > 0) return { granted: false, refusals };
  accounts.grants.set(
    grantId,
    reservations.map((each) => take(accounts, grantId, each, now)),
  );
  return { granted: true };
}

/** Ends a grant whose call ran: frees its slots, spends its money, at least what was reserved. */
export function settle(
  accounts: Accounts,
  grantId: string,
  actualMicroUsd = 0,
): readonly BudgetAccount[] {
  const parts = accounts.grants.get(grantId) ?? [];
  accounts.grants.delete(grantId);
  return parts.flatMap(({ kind, key, amount }) => {
    if (kind === 'slot') freeSlot(accounts, key, grantId);
    const budget = kind === 'budget' ? accounts.budgets.get(key) : undefined;
    if (budget === undefined) return [];
    const lastMicroUsd = Math.max(amount, actualMicroUsd);
    const spent = budget.spent + lastMicroUsd;
    const reserved = budget.reserved - amount;
    accounts.budgets.set(key, { ...budget, spent, reserved });
    const account = { key, spentMicroUsd: spent, reservedMicroUsd: reserved };
    return [{ ...account, lastMicroUsd, maxMicroUsd: budget.max }];
  });
}

/** Ends a grant whose call never ran: everything goes back. */
export function release(accounts: Accounts, grantId: string): void {
  for (const { kind, key, amount } of accounts.grants.get(grantId) ?? []) {
    if (kind === 'slot') freeSlot(accounts, key, grantId);
    const window = kind === 'window' ? accounts.windows.get(key) : undefined;
    if (window !== undefined) accounts.windows.set(key, withoutGrant(window, grantId, amount));
    const budget = kind === 'budget' ? accounts.budgets.get(key) : undefined;
    if (budget !== undefined) {
      accounts.budgets.set(key, { ...budget, reserved: budget.reserved - amount });
    }
  }
  accounts.grants.delete(grantId);
}

function refuse(accounts: Accounts, reservation: Reservation, now: number): Refusal | null {
  const { key } = reservation;
  switch (reservation.kind) {
    case 'slot': {
      const running = accounts.slots.get(key)?.length ?? 0;
      if (running < reservation.callsMax) return refuseNewKey(accounts.slots, reservation);
      const message = `${running} of at most ${reservation.callsMax} calls are already running`;
      return refusal(reservation, 'ENF_DENIED_CONCURRENCY', message);
    }
    case 'window':
      return (
        refuseWindow(accounts.windows.get(key) ?? EMPTY_WINDOW, reservation, now) ??
        refuseNewKey(accounts.windows, reservation)
      );
    case 'budget': {
      const { spent, reserved } = accounts.budgets.get(key) ?? { spent: 0, reserved: 0 };
      const { microUsd, microUsdMax } = reservation;
      const free = Math.max(microUsdMax - spent - reserved, 0);
      if (free > 0 && microUsd <= free) return refuseNewKey(accounts.budgets, reservation);
      const message = `the budget of ${usd(microUsdMax)} has ${usd(free)} left, the call needs ${usd(microUsd)}`;
      return refusal(reservation, 'ENF_DENIED_BUDGET', message);
    }
  }
}

function refusal(
  reservation: Reservation,
  code: Refusal['reason']['code'],
  message: string,
): Refusal {
  return { reservation, reason: { rule: reservation.rule, code, message } };
}

function usd(microUsd: number): string {
  return `$${(microUsd / 1e6).toFixed(6).replace(/0{1,4}$/, '')}`;
}

/** UNTRUSTED: agents and sessions are named by callers; accounts must not grow without bound. */
function refuseNewKey(
  table: ReadonlyMap<string, unknown>,
  reservation: Reservation,
): Refusal | null {
  if (table.has(reservation.key) || table.size < KEYS_MAX) return null;
  return refusal(reservation, 'ENF_DENIED_RULE_FAILED', `${KEYS_MAX} accounts are open already`);
}

function take(
  accounts: Accounts,
  grantId: string,
  reservation: Reservation,
  now: number,
): GrantPart {
  const { kind, key } = reservation;
  switch (reservation.kind) {
    case 'slot':
      accounts.slots.set(key, [...(accounts.slots.get(key) ?? []), grantId]);
      return { kind, key, amount: 1 };
    case 'window': {
      const window = accounts.windows.get(key) ?? EMPTY_WINDOW;
      accounts.windows.set(key, addToWindow(window, reservation, grantId, now));
      return { kind, key, amount: reservation.amount };
    }
    case 'budget': {
      const { spent, reserved } = accounts.budgets.get(key) ?? { spent: 0, reserved: 0 };
      const { microUsd, microUsdMax } = reservation;
      accounts.budgets.set(key, { spent, reserved: reserved + microUsd, max: microUsdMax });
      return { kind, key, amount: microUsd };
    }
  }
}

function freeSlot(accounts: Accounts, key: string, grantId: string): void {
  const left = (accounts.slots.get(key) ?? []).filter((each) => each !== grantId);
  if (left.length > 0) accounts.slots.set(key, left);
  else accounts.slots.delete(key);
}

/** Looks for expired windows whenever their number is a power of two, so that it costs little. */
function sweep(windows: Map<string, Window>, now: number): void {
  const isPowerOfTwo = (windows.size & (windows.size - 1)) === 0;
  if (windows.size >= SWEEP_MIN && (isPowerOfTwo || windows.size >= KEYS_MAX)) {
    dropExpired(windows, now);
  }
}

/** Drops windows in which nothing counts any more. */
export function dropExpired(windows: Map<string, Window>, now: number): void {
  for (const [key, window] of windows) if (isExpired(window, now)) windows.delete(key);
}
