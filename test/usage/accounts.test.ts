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
  });

  test('make room for new ones when nobody uses them any more', () => {
    const accounts = booksOf(100_000);
    expect(admit(accounts, 'a', [place('one-more')], 1000)).toEqual({ granted: true });
    expect(accounts.windows.size).toBe(1);
  });
});

test('10,000 entries of one window are joined, which never lets more through', () => {
  const accounts = emptyAccounts();
  const many: Reservation = { ...place('x'), kind: 'window', amountMax: 10_050 } as Reservation;
  let granted = 0;
  for (let index = 0; index < 10_100; index++) {
    if (admit(accounts, `g${index}`, [many], index / 100).granted) granted += 1;
  }
  expect(granted).toBe(10_050);
  expect(accounts.windows.get('x')?.entries.length).toBe(10_000);
});
