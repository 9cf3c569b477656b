import { z } from 'zod';
import { type Accounts, emptyAccounts } from './accounts.ts';

/** The books of a ledger as they are kept in a file. */
export interface State {
  readonly accounts: Accounts;
  /** Latest time that was ever used, ms since 1970: a clock that goes back opens no window. */
  readonly now: number;
  /** Who holds each grant, as `processName` gives it. */
  readonly owners: Map<string, string>;
}

const amount = z.number().min(0);
const entry = z.strictObject({ at: z.number(), amount, grantId: z.string() });
const part = z.strictObject({
  kind: z.enum(['slot', 'window', 'budget']),
  key: z.string(),
  amount,
});

const stateSchema = z.strictObject({
  version: z.literal(1),
  now: z.number(),
  slots: z.array(z.tuple([z.string(), z.array(z.string())])),
  windows: z.array(
    z.tuple([z.string(), z.strictObject({ windowMs: amount, entries: z.array(entry) })]),
  ),
  budgets: z.array(
    z.tuple([z.string(), z.strictObject({ spent: amount, reserved: amount, max: amount })]),
  ),
  grants: z.array(z.tuple([z.string(), z.array(part)])),
  owners: z.array(z.tuple([z.string(), z.string()])),
});

/** Books in which nothing was ever written. */
export function emptyState(): State {
  return { accounts: emptyAccounts(), now: 0, owners: new Map() };
}

/**
 * Reads what {@link formatState} wrote.
 *
 * @throws {SyntaxError | z.ZodError} for anything else: books that cannot be read admit nobody
 */
export function parseState(text: string): State {
  const { now, owners, ...tables } = stateSchema.parse(JSON.parse(text));
  return {
    now,
    owners: new Map(owners),
    accounts: {
      slots: new Map(tables.slots),
      windows: new Map(tables.windows),
      budgets: new Map(tables.budgets),
      grants: new Map(tables.grants),
    },
  };
}

/** The text of a state, readable by {@link parseState}. */
export function formatState({ accounts, now, owners }: State): string {
  return JSON.stringify({
    version: 1,
    now,
    slots: [...accounts.slots],
    windows: [...accounts.windows],
    budgets: [...accounts.budgets],
    grants: [...accounts.grants],
    owners: [...owners],
  });
}
