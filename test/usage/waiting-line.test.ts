import { describe, expect, test } from 'vitest';
import {
  createLedger,
  type Grant,
  type Ledger,
  memoryStore,
  type Reservation,
} from '../../src/usage/index.ts';

const slot = (callsMax: number, queueMax: number, waitMs: number): Reservation => ({
  kind: 'slot',
  key: 's',
  rule: 'resource_limits.max_concurrent_calls',
  callsMax,
  queue: { callsMax: queueMax, waitMs },
});
const full: Reservation = {
  kind: 'window',
  key: 'w',
  rule: 'rate_limits.x',
  amount: 1,
  amountMax: 0,
  windowMs: 1000,
};

const ledgerOf = (): Ledger =>
  createLedger({ store: memoryStore(), clock: () => performance.now() });

async function grantOf(ledger: Ledger, ...reservations: Reservation[]): Promise<Grant> {
  const answer = await ledger.reserve(reservations, { callId: 'c' });
  if (!answer.granted) throw new Error(answer.reasons.map(({ message }) => message).join());
  return answer.grant;
}

describe('a call that finds no free place', () => {
  test('waits, and runs when one becomes free', async () => {
    const ledger = ledgerOf();
    const first = await grantOf(ledger, slot(1, 5, 60_000));
    const second = grantOf(ledger, slot(1, 5, 60_000));
    await first.settle();
    await (await second).settle();
  });

  test('runs in the order in which it came', async () => {
    const ledger = ledgerOf();
    const order: number[] = [];
    const first = await grantOf(ledger, slot(1, 10, 60_000));
    const waiting = [1, 2, 3, 4].map(async (index) => {
      const grant = await grantOf(ledger, slot(1, 10, 60_000));
      order.push(index);
      await grant.settle();
    });
    await first.settle();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test('is not overtaken by one that comes later and finds a place', async () => {
    const ledger = ledgerOf();
    const order: string[] = [];
    const first = await grantOf(ledger, slot(1, 10, 60_000));
    const early = grantOf(ledger, slot(1, 10, 60_000)).then((grant) => {
      order.push('early');
      return grant.settle();
    });
    // Let it get into the line: it asks once before it waits.
    await new Promise((resolve) => setImmediate(resolve));
    const ended = first.settle();
    const late = grantOf(ledger, slot(1, 10, 60_000)).then((grant) => {
      order.push('late');
      return grant.settle();
    });
    await Promise.all([ended, early, late]);
    expect(order).toEqual(['early', 'late']);
  });

  test('is refused when it waited long enough', async () => {
    const ledger = ledgerOf();
    await grantOf(ledger, slot(1, 5, 30));
    const answer = await ledger.reserve([slot(1, 5, 30)], { callId: 'late' });
    expect(answer).toMatchObject({ granted: false, reasons: [{ code: 'ENF_DENIED_CONCURRENCY' }] });
  });

  test('is refused at once when the line is full', async () => {
    const ledger = ledgerOf();
    const first = await grantOf(ledger, slot(1, 1, 60_000));
    const waiting = grantOf(ledger, slot(1, 1, 60_000));
    const answer = await ledger.reserve([slot(1, 1, 60_000)], { callId: 'third' });
    expect(answer).toMatchObject({
      granted: false,
      reasons: [{ message: '1 calls wait for a free place already' }],
    });
    await first.settle();
    await (await waiting).release();
  });

  test('is refused at once when waiting would not help', async () => {
    const ledger = ledgerOf();
    await grantOf(ledger, slot(1, 5, 60_000));
    const answer = await ledger.reserve([slot(1, 5, 60_000), full], { callId: 'c' });
    expect(answer).toMatchObject({
      granted: false,
      reasons: [{ code: 'ENF_DENIED_CONCURRENCY' }, { code: 'ENF_DENIED_RATE' }],
    });
  });

  test('gives up when its caller does, and lets the next one in', async () => {
    const ledger = ledgerOf();
    const first = await grantOf(ledger, slot(1, 5, 60_000));
    const controller = new AbortController();
    const given = ledger.reserve([slot(1, 5, 60_000)], {
      callId: 'given-up',
      signal: controller.signal,
    });
    const next = grantOf(ledger, slot(1, 5, 60_000));
    controller.abort();
    expect(await given).toMatchObject({ granted: false, reasons: [{ code: 'ENF_CALL_ABORTED' }] });
    await first.settle();
    await (await next).settle();
  });

  test('a caller that gave up before it asked waits for nothing', async () => {
    const ledger = ledgerOf();
    await grantOf(ledger, slot(1, 5, 60_000));
    const answer = await ledger.reserve([slot(1, 5, 60_000)], {
      callId: 'c',
      signal: AbortSignal.abort(),
    });
    expect(answer.granted).toBe(false);
  });

  test('50 of them run two at a time, and all of them run', async () => {
    const ledger = ledgerOf();
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const grant = await grantOf(ledger, slot(2, 50, 60_000));
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        running -= 1;
        await grant.settle();
      }),
    );
    expect(most).toBe(2);
  });
});

describe('thresholds of a budget', () => {
  const budget = (microUsd: number): Reservation => ({
    kind: 'budget',
    key: 'b',
    rule: 'r',
    microUsd,
    microUsdMax: 100,
  });

  test('are told once each, when a settled call crosses them', async () => {
    const ledger = ledgerOf();
    const crossed: [number, number][] = [];
    const stop = ledger.onThreshold(({ share, spentMicroUsd }) =>
      crossed.push([share, spentMicroUsd]),
    );
    for (const microUsd of [79, 1, 10]) await (await grantOf(ledger, budget(microUsd))).settle();
    await (await grantOf(ledger, budget(5))).release();
    await (await grantOf(ledger, budget(10))).settle();
    stop();
    expect(crossed).toEqual([
      [0.8, 80],
      [1, 100],
    ]);
  });

  test('are both told when one call crosses both', async () => {
    const ledger = ledgerOf();
    const shares: number[] = [];
    ledger.onThreshold(({ share }) => shares.push(share));
    await (await grantOf(ledger, budget(1))).settle(500);
    expect(shares).toEqual([0.8, 1]);
  });
});
