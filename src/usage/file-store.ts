import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { admit, dropExpired, release, settle } from './accounts.ts';
import { withFileLock } from './file-lock.ts';
import { fileSessions } from './file-sessions.ts';
import { isAlive, processName } from './process-name.ts';
import { replaceFile, storeError } from './replace-file.ts';
import { emptyState, formatState, parseState, type State } from './state-file.ts';
import type { StateStore } from './state-store.ts';

/**
 * A store in a folder, so that separate command lines share rates, budgets, slots and sessions. Each step
 * holds a lock, reads the books, changes them, and replaces the file whole: a crash leaves the
 * books of before or after. Grants of a process that died are settled, not given back: the tool
 * may have run. Steps of one store run one after the other.
 *
 * @param folder - made with mode 0700 when it is missing; must not be writable by tools
 */
export function fileStore(folder: string): StateStore {
  const file = join(folder, 'ledger.json');
  let last: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(step: (state: State) => { readonly state: State; readonly result: T }) => {
    const run = async (): Promise<T> => {
      try {
        makeFolder(folder);
        return await withFileLock(`${file}.lock`, () => change(file, step));
      } catch (error) {
        throw storeError(file, error);
      }
    };
    const turn = last.then(run, run);
    last = turn.catch(() => {});
    return turn;
  };

  return {
    ...fileSessions(join(folder, 'sessions')),
    reserve: ({ grantId, reservations }) =>
      inTurn((state) => {
        const result = admit(state.accounts, grantId, reservations, state.now);
        if (result.granted) state.owners.set(grantId, processName());
        return { state, result };
      }),
    settle: (grantId, actualMicroUsd) =>
      inTurn((state) => {
        state.owners.delete(grantId);
        return { state, result: settle(state.accounts, grantId, actualMicroUsd) };
      }),
    release: (grantId) =>
      inTurn((state) => {
        state.owners.delete(grantId);
        release(state.accounts, grantId);
        return { state, result: undefined };
      }),
    close: async () => {
      await last;
    },
  };
}

async function change<T>(
  file: string,
  step: (state: State) => { readonly state: State; readonly result: T },
): Promise<T> {
  const { accounts, now, owners } = await readState(file);
  const current: State = { accounts, now: Math.max(now, Date.now()), owners };
  settleDead(current);
  dropExpired(accounts.windows, current.now);
  const { state, result } = step(current);
  await replaceFile(file, formatState(state));
  return result;
}

async function readState(file: string): Promise<State> {
  try {
    return parseState(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyState();
    throw error;
  }
}

/** A process that died cannot end its grants. */
function settleDead({ accounts, owners }: State): void {
  const alive = new Map([...new Set(owners.values())].map((name) => [name, isAlive(name)]));
  for (const [grantId, owner] of owners) {
    if (alive.get(owner) === true) continue;
    owners.delete(grantId);
    settle(accounts, grantId);
  }
}
