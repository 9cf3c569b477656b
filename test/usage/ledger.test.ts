import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createLedger,
  type Grant,
  type Ledger,
  memoryStore,
  type Reservation,
} from '../../src/usage/index.ts';

const slot = (callsMax: number, key = 's'): Reservation => ({
  kind: 'slot',
  key,
  rule: 'slots',
  callsMax,
});
const rate = (amountMax: number, windowMs = 1000, key = 'w', amount = 1): Reservation => ({
  kind: 'window',
  key,
  rule: 'rate_limits.x',
  amount,
  amountMax,
  windowMs,
});
const budget = (microUsd: number, microUsdMax: number): Reservation => ({
  kind: 'budget',
  key: 'b',
  rule: 'resource_limits.max_cost_usd',
  microUsd,
  microUsdMax,
});

function ledgerAt(start = 0): { ledger: Ledger; time: { now: number } } {
  const time = { now: start };
  return { ledger: createLedger({ store: memoryStore(), clock: () => time.now }), time };
}

const ids = { callId: 'c' };

async function grantOf(ledger: Ledger, ...reservations: Reservation[]): Promise<Grant> {
  const answer = await ledger.reserve(reservations, ids);
  if (!answer.granted) throw new Error(answer.reasons.map(({ message }) => message).join());
  return answer.grant;
}

const isGranted = async (ledger: Ledger, ...reservations: Reservation[]): Promise<boolean> =>
  (await ledger.reserve(reservations, ids)).granted;

describe('slots', () => {
  test('are held until the call ends', async () => {
    const { ledger } = ledgerAt();
    const grant = await grantOf(ledger, slot(1));
    expect(await ledger.reserve([slot(1)], ids)).toMatchObject({
      granted: false,
      reasons: [{ rule: 'slots', code: 'ENF_DENIED_CONCURRENCY' }],
    });
    await grant.settle();
    expect(await isGranted(ledger, slot(1))).toBe(true);
  });

  test('of zero deny every call', async () => {
    expect(await isGranted(ledgerAt().ledger, slot(0))).toBe(false);
  });
});

describe('windows', () => {
  test('slide: a place is free again exactly one window after it was taken', async () => {
    const { ledger, time } = ledgerAt();
    await grantOf(ledger, rate(2));
    time.now = 600;
    await grantOf(ledger, rate(2));
    expect(await ledger.reserve([rate(2)], ids)).toMatchObject({
      granted: false,
      retryAfterMs: 400,
    });
    time.now = 999;
    expect(await isGranted(ledger, rate(2))).toBe(false);
    time.now = 1000;
    expect(await isGranted(ledger, rate(2))).toBe(true);
    expect(await isGranted(ledger, rate(2))).toBe(false);
  });

  test('keep a place that was used, give back one that was not', async () => {
    const { ledger } = ledgerAt();
    await (await grantOf(ledger, rate(1))).settle();
    expect(await isGranted(ledger, rate(1))).toBe(false);
    await (await grantOf(ledger, rate(1, 1000, 'other'))).release();
    expect(await isGranted(ledger, rate(1, 1000, 'other'))).toBe(true);
  });

  test('sum amounts', async () => {
    const { ledger } = ledgerAt();
    await grantOf(ledger, rate(5000, 1000, 'sum', 3000));
    expect(await isGranted(ledger, rate(5000, 1000, 'sum', 2001))).toBe(false);
    expect(await isGranted(ledger, rate(5000, 1000, 'sum', 2000))).toBe(true);
  });

  test('say nothing about waiting when the amount alone is too large', async () => {
    const answer = await ledgerAt().ledger.reserve([rate(10, 1000, 'sum', 11)], ids);
    expect(answer).not.toHaveProperty('retryAfterMs');
  });

  test('never hold more than their maximum in any interval of their length', async () => {
    const steps = fc.array(fc.record({ wait: fc.nat(400), release: fc.boolean() }), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 5 }), async (calls, max) => {
        const { ledger, time } = ledgerAt();
        const ran: number[] = [];
        for (const { wait, release } of calls) {
          time.now += wait;
          const answer = await ledger.reserve([rate(max)], ids);
          if (!answer.granted) continue;
          if (release) await answer.grant.release();
          else ran.push(time.now);
        }
        return ran.every(
          (at) => ran.filter((other) => other > at - 1000 && other <= at).length <= max,
        );
      }),
    );
  });
});

describe('budgets', () => {
  test('50 parallel calls never overspend', async () => {
    const { ledger } = ledgerAt();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ledger.reserve([budget(300_000, 5_000_000)], ids)),
    );
    expect(answers.filter(({ granted }) => granted)).toHaveLength(16);
  });

  test('of zero deny even a call that costs nothing', async () => {
    expect(await isGranted(ledgerAt().ledger, budget(0, 0))).toBe(false);
  });

  test('a used up budget denies a call that costs nothing', async () => {
    const { ledger } = ledgerAt();
    await (await grantOf(ledger, budget(5, 5))).settle();
    expect(await isGranted(ledger, budget(0, 5))).toBe(false);
  });

  test('a claim below the reservation is not believed', async () => {
    const { ledger } = ledgerAt();
    await (await grantOf(ledger, budget(4, 10))).settle(0);
    expect(await isGranted(ledger, budget(7, 10))).toBe(false);
    await (await grantOf(ledger, budget(1, 10))).settle(6);
    expect(await isGranted(ledger, budget(0, 10))).toBe(false);
  });

  test.each([-1, 0.5, Number.NaN, Infinity, 2 ** 60])('%d is not an amount', async (amount) => {
    const grant = await grantOf(ledgerAt().ledger, budget(1, 10));
    await expect(grant.settle(amount)).rejects.toThrow('`actualMicroUsd` must be a whole number');
  });

  test('say what is left', async () => {
    const { ledger } = ledgerAt();
    await grantOf(ledger, budget(4_999_998, 5_000_000));
    expect(await ledger.reserve([budget(2_000, 5_000_000)], ids)).toMatchObject({
      reasons: [{ message: 'the budget of $5.00 has $0.000002 left, the call needs $0.002' }],
    });
  });
});

describe('all or none', () => {
  test('a call refused by one account takes nothing from another', async () => {
    const { ledger } = ledgerAt();
    await grantOf(ledger, rate(1, 1000, 'full'));
    for (let index = 0; index < 20; index++) {
      expect(
        await isGranted(
          ledger,
          slot(1),
          rate(1, 1000, 'free'),
          rate(1, 1000, 'full'),
          budget(5, 5),
        ),
      ).toBe(false);
    }
    expect(await isGranted(ledger, slot(1), rate(1, 1000, 'free'), budget(5, 5))).toBe(true);
  });

  test('every refusal is reported, and waiting is suggested only when it would help', async () => {
    const { ledger } = ledgerAt();
    await grantOf(ledger, rate(1), slot(1));
    const answer = await ledger.reserve([rate(1), slot(1)], ids);
    expect(answer).toMatchObject({
      granted: false,
      reasons: [{ rule: 'rate_limits.x' }, { rule: 'slots' }],
    });
    expect(answer).not.toHaveProperty('retryAfterMs');
  });

  test('releasing restores exactly what was there', async () => {
    const parts = fc.uniqueArray(fc.constantFrom(slot(3), rate(3), budget(2, 7)), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 30 }), async (reservations, rounds) => {
        const { ledger } = ledgerAt();
        for (let round = 0; round < rounds; round++) {
          await (await grantOf(ledger, ...reservations)).release();
        }
      }),
    );
  });
});

describe('a grant', () => {
  test('ends once: settling twice spends once', async () => {
    const { ledger } = ledgerAt();
    const grant = await grantOf(ledger, budget(4, 10));
    await Promise.all([grant.settle(4), grant.settle(4), grant.release()]);
    expect(await isGranted(ledger, budget(6, 10))).toBe(true);
  });

  test('released first, spends nothing however often it is settled', async () => {
    const { ledger } = ledgerAt();
    const grant = await grantOf(ledger, slot(1), budget(10, 10));
    await Promise.all([grant.release(), grant.settle(10), grant.release()]);
    expect(await isGranted(ledger, slot(1), budget(10, 10))).toBe(true);
  });
});

test('a store that fails once can be asked again', async () => {
  const store = memoryStore();
  let fails = true;
  const settle: typeof store.settle = async (...args) => {
    if (fails) throw new Error('disk full');
    return store.settle(...args);
  };
  const ledger = createLedger({ store: { ...store, settle }, clock: () => 0 });
  const grant = await grantOf(ledger, slot(1));
  await expect(grant.settle()).rejects.toThrow('disk full');
  fails = false;
  await grant.settle();
  expect(await isGranted(ledger, slot(1))).toBe(true);
});

describe('bounds', () => {
  test('accounts that nobody uses any more make room for new ones', async () => {
    const { ledger, time } = ledgerAt();
    for (let index = 0; index < 120_000; index++) {
      time.now += 1;
      if (!(await isGranted(ledger, rate(1, 1000, `agent-${index}`))))
        throw new Error(`refused ${index}`);
    }
  });

  test('more open accounts than the bound are refused, not forgotten', async () => {
    const { ledger } = ledgerAt();
    for (let index = 0; index < 100_000; index++)
      await ledger.reserve([rate(1, 1000, `agent-${index}`)], ids);
    expect(await ledger.reserve([rate(1, 1000, 'one-more')], ids)).toMatchObject({
      granted: false,
      reasons: [{ code: 'ENF_DENIED_RULE_FAILED' }],
    });
    expect(await isGranted(ledger, rate(1, 1000, 'agent-0'))).toBe(false);
  });
});
