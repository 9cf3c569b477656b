import { admit, emptyAccounts, release, settle } from './accounts.ts';
import { memorySessions } from './memory-sessions.ts';
import type { StateStore } from './state-store.ts';

/**
 * A store in this process's memory. Every step runs within one tick, so it is atomic; the books
 * are gone when the process ends.
 */
export function memoryStore(): StateStore {
  const accounts = emptyAccounts();
  return {
    ...memorySessions(),
    reserve: async ({ grantId, reservations, now }) => admit(accounts, grantId, reservations, now),
    settle: async (grantId, actualMicroUsd) => settle(accounts, grantId, actualMicroUsd),
    release: async (grantId) => release(accounts, grantId),
    close: async () => {},
  };
}
