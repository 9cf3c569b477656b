import { describe, expect, test } from 'vitest';
import { microUsdOf } from '../../src/gate/index.ts';
import { decideUnder } from './requests.ts';

const only = (kind: string) => (each: { readonly kind: string }) => each.kind === kind;
const context = { tenant: 't', agent: 'a', session: 's' };

describe('rate_limits', () => {
  const rate_limits = {
    Search: [
      { max_calls: 10, window_seconds: 60 },
      { max_calls: 100, window_seconds: 3600 },
    ],
    global: { max_calls: 1000, window_seconds: 60 },
  };

  test('take a place in every window of the tool and in the global one', async () => {
    const { reservations } = await decideUnder({ rate_limits }, 'search', {}, { context });
    expect(reservations.filter(only('window'))).toMatchObject([
      { rule: 'rate_limits.search', amount: 1, amountMax: 10, windowMs: 60_000 },
      { rule: 'rate_limits.search', amount: 1, amountMax: 100, windowMs: 3_600_000 },
      { rule: 'rate_limits.global', amount: 1, amountMax: 1000, windowMs: 60_000 },
    ]);
  });

  test('are kept per agent and tenant, the global one is not', async () => {
    const keys = async (agent: string, tool = 'search') =>
      (
        await decideUnder({ rate_limits }, tool, {}, { context: { ...context, agent } })
      ).reservations
        .filter(only('window'))
        .map(({ key }) => key);
    const [one, other] = [await keys('a'), await keys('b')];
    expect(one[0]).not.toBe(other[0]);
    expect(one[2]).toBe(other[2]);
    expect(await keys('a', 'another')).toEqual([one[2]]);
  });

  test('a tool that is called `global` takes one place, not two', async () => {
    expect(
      (await decideUnder({ rate_limits }, 'global')).reservations.filter(only('window')),
    ).toHaveLength(1);
  });

  test('take nothing when they are switched off', async () => {
    const off = { ...rate_limits, enabled: false };
    expect(
      (await decideUnder({ rate_limits: off }, 'search')).reservations.filter(only('window')),
    ).toEqual([]);
  });
});

describe('costs', () => {
  const document = { cost: { Search: 0.002 }, resource_limits: { max_cost_usd: 5 } };

  test('are reserved from the budget of the agent, whatever the case of the tool', async () => {
    const { reservations } = await decideUnder(document, 'SEARCH', {}, { context });
    expect(reservations.find(only('budget'))).toMatchObject({
      rule: 'resource_limits.max_cost_usd',
      microUsd: 2000,
      microUsdMax: 5_000_000,
    });
  });

  test('of nothing still ask the budget, so that 0 denies every call', async () => {
    const { reservations } = await decideUnder({ resource_limits: { max_cost_usd: 0 } }, 'x');
    expect(reservations.find(only('budget'))).toMatchObject({ microUsd: 0, microUsdMax: 0 });
  });

  test('a tool may have a budget of its own besides', async () => {
    const own = {
      ...document,
      tools: { search: { resource_limits: { max_cost_usd: 1, max_concurrent_calls: 2 } } },
    };
    const { reservations } = await decideUnder(own, 'search');
    expect(reservations.filter(only('budget'))).toMatchObject([
      { rule: 'resource_limits.max_cost_usd', microUsdMax: 5_000_000 },
      { rule: 'tools.search.resource_limits.max_cost_usd', microUsdMax: 1_000_000 },
    ]);
    expect(reservations.filter(only('slot'))).toMatchObject([{ callsMax: 8 }, { callsMax: 2 }]);
  });

  test.each([
    [0.002, 2000],
    [0.0021, 2100],
    [0.1, 100_000],
    [1e-9, 1],
    [0, 0],
    [1e-6, 1],
    [1.000001, 1_000_001],
  ])('%d dollars are %d micro-dollars, rounded up', (usd, expected) =>
    expect(microUsdOf(usd)).toBe(expected),
  );
});

test('two windows of one length are one account, the tighter', async () => {
  const rate_limits = {
    x: [
      { max_calls: 9, window_seconds: 60 },
      { max_calls: 2, window_seconds: 60 },
    ],
  };
  const { reservations } = await decideUnder({ rate_limits }, 'x');
  expect(reservations.filter(only('window'))).toMatchObject([{ amountMax: 2 }]);
});

describe('a cost that the caller states', () => {
  const document = { cost: { x: 1 }, resource_limits: { max_cost_usd: 5 } };

  test.each([
    [0.5, 1_000_000],
    [2, 2_000_000],
  ])('%d dollars reserve %d: the policy is the floor', async (costUsd, microUsd) => {
    const { reservations } = await decideUnder(document, 'x', {}, { context: { costUsd } });
    expect(reservations.find(only('budget'))).toMatchObject({ microUsd });
  });

  test.each([-1, Number.NaN, Infinity])('of %d denies', async (costUsd) => {
    expect(await decideUnder(document, 'x', {}, { context: { costUsd } })).toMatchObject({
      effect: 'deny',
      reasons: [{ rule: 'resource_limits.max_cost_usd', code: 'ENF_DENIED_RULE_FAILED' }],
    });
  });
});

test('on_busy names how many may wait and how long', async () => {
  const limits = { max_concurrent_calls: 1, on_busy: { queue: 100, waitMs: 1000 } };
  const { reservations } = await decideUnder({ resource_limits: limits }, 'x');
  expect(reservations).toMatchObject([{ kind: 'slot', queue: { callsMax: 100, waitMs: 1000 } }]);
});
