import { describe, expect, test } from 'vitest';
import { admit, emptyAccounts } from '../../src/usage/accounts.ts';
import type { Reservation } from '../../src/usage/index.ts';

const place = (key: string): Reservation => ({
  kind: 'window',
  key,
  rule: 'rate_limits.x',
  amount: 1,
  amountMax: 1,
  windowMs: 1000,
});

/** Books with an open window for each of so many agents. */
function booksOf(agents: number) {
  const accounts = emptyAccounts();
  for (let index = 0; index < agents; index++) {
    admit(accounts, `grant-${index}`, [place(`agent-${index}`)], 0);
    accounts.grants.delete(`grant-${index}`);
  }
  return accounts;
}

describe('100,000 open accounts', () => {
  test('are the most there can be: one more is refused, and none is forgotten', () => {
    const accounts = booksOf(100_000);
    expect(admit(accounts, 'a', [place('one-more')], 1)).toMatchObject({
      granted: false,
      refusals: [{ reason: { code: 'ENF_DENIED_RULE_FAILED' } }],
    });
    expect(admit(accounts, 'b', [place('agent-0')], 1)).toMatchObject({
      granted: false,
      refusals: [{ reason: { code: 'ENF_DENIED_RATE' } }],
    });
  }, 30_000);

  test('make room for new ones when nobody uses them any more', () => {
    const accounts = booksOf(100_000);
    expect(admit(accounts, 'a', [place('one-more')], 1000)).toEqual({ granted: true });
    expect(accounts.windows.size).toBe(1);
  }, 30_000);
});

test('many entries of one window are joined, which never lets more through and frees all in time', () => {
  const accounts = emptyAccounts();
  const many: Reservation = {
    kind: 'window',
    key: 'x',
    rule: 'rate_limits.x',
    amount: 1,
    amountMax: 3000,
    windowMs: 1000,
  };
  const grantedAt = (from: number): number[] =>
    Array.from({ length: 4000 }, (_, index) => from + index / 10).filter(
      (now) => admit(accounts, `g${now}`, [many], now).granted,
    );
  const first = grantedAt(0);
  expect(first).toHaveLength(3000);
  expect(accounts.windows.get('x')?.entries.length).toBeLessThanOrEqual(2000);
  // The last of them leaves at 1300 ms, and a bucket is 1 ms long.
  const second = grantedAt(1301);
  expect(second).toHaveLength(3000);
});
