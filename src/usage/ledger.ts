import { randomUUID } from 'node:crypto';
import type { Reason } from '../call.ts';
import { EnforceError } from '../errors.ts';
import type { Admission, Refusal, Reservation, SlotReservation } from './reservation.ts';
import type { BudgetAccount, StateStore } from './state-store.ts';
import { createWaitingLines, type Turn, type WaitingLines } from './waiting-line.ts';

/** Grants what calls reserve, from one store, on one clock. */
export interface Ledger {
  /**
   * Takes everything a call needs, or nothing. Ask before the tool runs; calls in flight count.
   * Waits for a free slot where the policy says so.
   *
   * @throws {EnforceError} `ENF_STATE_STORE` when the store fails; the call must not run
   */
  reserve(reservations: readonly Reservation[], ids: GrantIds): Promise<GrantAnswer>;

  /**
   * Calls back when a settled call lifts a budget's spending over 80 % or 100 % of its maximum.
   *
   * @returns stops calling back
   */
  onThreshold(listener: (crossing: BudgetCrossing) => void): () => void;

  /** Closes the store. */
  close(): Promise<void>;
}

/** Whom a grant belongs to. */
export interface GrantIds {
  readonly callId: string;
  /** Ends the wait for a slot. */
  readonly signal?: AbortSignal;
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

/** A budget of which much, or all, is spent. */
export interface BudgetCrossing extends BudgetAccount {
  /** The share that was crossed: 0.8 or 1. */
  readonly share: number;
}

export interface LedgerOptions {
  readonly store: StateStore;
  /** Milliseconds that never go back, such as `performance.now`. */
  readonly clock: () => number;
}

/** A ledger over a store. The caller closes it. */
export function createLedger({ store, clock }: LedgerOptions): Ledger {
  const lines = createWaitingLines();
  const listeners = new Set<(crossing: BudgetCrossing) => void>();

  const ended = (
    reservations: readonly Reservation[],
    accounts: readonly BudgetAccount[],
  ): void => {
    for (const { kind, key } of reservations) if (kind === 'slot') lines.wake(key);
    for (const crossing of accounts.flatMap(crossingsOf)) {
      for (const listener of listeners) listener(crossing);
    }
  };

  return {
    async reserve(reservations, ids) {
      const grantId = `${ids.callId}/${randomUUID()}`;
      const ask = (): Promise<Admission> => store.reserve({ grantId, reservations, now: clock() });
      const slots = reservations.filter(isQueued);
      const mustWait = slots.some(({ key }) => lines.isWaiting(key));
      let admission = mustWait ? null : await ask();
      const busy = admission === null ? slots[0] : queuedRefusal(admission);
      if (busy !== undefined) admission = await waitForSlot({ lines, clock, ask, busy, ids });
      if (admission === null) return { granted: false, reasons: [queueFull(busy ?? slots[0])] };
      if (!admission.granted) return { granted: false, ...answerOf(admission.refusals) };
      return {
        granted: true,
        grant: grantOf(store, grantId, (accounts) => ended(reservations, accounts)),
      };
    },
    onThreshold(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => store.close(),
  };
}

type QueuedSlot = SlotReservation & Required<Pick<SlotReservation, 'queue'>>;

function isQueued(reservation: Reservation): reservation is QueuedSlot {
  return reservation.kind === 'slot' && reservation.queue !== undefined;
}

/** The slot worth waiting for: waiting helps only when nothing but slots was refused. */
function queuedRefusal(admission: Admission): QueuedSlot | undefined {
  if (admission.granted) return undefined;
  const reservations = admission.refusals.map(({ reservation }) => reservation);
  return reservations.every(isQueued) ? reservations[0] : undefined;
}

interface Wait {
  readonly lines: WaitingLines;
  readonly clock: () => number;
  readonly ask: () => Promise<Admission>;
  readonly busy: QueuedSlot;
  readonly ids: GrantIds;
}

/** @returns the last answer of the store; null when the line is full */
async function waitForSlot({ lines, busy, ...wait }: Wait): Promise<Admission | null> {
  const turn = lines.join(busy.key, busy.queue.callsMax);
  if (turn === null) return null;
  try {
    return await askInTurn(turn, busy, wait);
  } finally {
    turn.leave();
  }
}

async function askInTurn(
  turn: Turn,
  busy: QueuedSlot,
  { clock, ask, ids }: Omit<Wait, 'lines' | 'busy'>,
): Promise<Admission> {
  const deadline = clock() + busy.queue.waitMs;
  for (;;) {
    await turn.next(Math.max(0, deadline - clock()), ids.signal);
    const isOver = clock() >= deadline || ids.signal?.aborted === true;
    if (!turn.isFirst && !isOver) continue;
    if (ids.signal?.aborted === true) return refusedByCaller(busy);
    const admission = await ask();
    if (admission.granted || isOver || queuedRefusal(admission) === undefined) return admission;
  }
}

function refusedByCaller(reservation: SlotReservation): Admission {
  const message = 'the caller aborted the call while it waited for a free place';
  const reason: Reason = { rule: reservation.rule, code: 'ENF_CALL_ABORTED', message };
  return { granted: false, refusals: [{ reservation, reason }] };
}

function queueFull(slot: QueuedSlot | undefined): Reason {
  const message = `${slot?.queue.callsMax ?? 0} calls wait for a free place already`;
  return { rule: slot?.rule ?? 'resource_limits', code: 'ENF_DENIED_CONCURRENCY', message };
}

function answerOf(refusals: readonly Refusal[]): { reasons: Reason[]; retryAfterMs?: number } {
  const waits = refusals.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
  const reasons = refusals.map(({ reason }) => reason);
  const canWait = waits.length > 0 && waits.length === refusals.length;
  return canWait ? { reasons, retryAfterMs: Math.max(...waits) } : { reasons };
}

const SHARES = [0.8, 1];

/** The shares that the last settled call crossed. */
function crossingsOf(account: BudgetAccount): BudgetCrossing[] {
  const before = account.spentMicroUsd - account.lastMicroUsd;
  return SHARES.filter((share) => {
    const bound = share * account.maxMicroUsd;
    return before < bound && account.spentMicroUsd >= bound;
  }).map((share) => ({ ...account, share }));
}

function grantOf(
  store: StateStore,
  grantId: string,
  onEnd: (accounts: readonly BudgetAccount[]) => void,
): Grant {
  let end: Promise<void> | undefined;
  const once = (step: () => Promise<readonly BudgetAccount[] | undefined>): Promise<void> => {
    end ??= step().then(
      (accounts) => onEnd(accounts ?? []),
      (error: unknown) => {
        // Nothing took effect: the store may work again.
        end = undefined;
        throw error;
      },
    );
    return end;
  };
  return {
    settle: async (actualMicroUsd = 0) => {
      if (!Number.isSafeInteger(actualMicroUsd) || actualMicroUsd < 0) {
        const message = `\`actualMicroUsd\` must be a whole number >= 0, got ${actualMicroUsd}`;
        throw new EnforceError('ENF_CALL_ARGUMENT', message);
      }
      await once(() => store.settle(grantId, actualMicroUsd));
    },
    release: () => once(() => store.release(grantId).then(() => undefined)),
  };
}
