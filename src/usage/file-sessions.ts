import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { withFileLock } from './file-lock.ts';
import { isAlive, processName } from './process-name.ts';
import { replaceFile, storeError } from './replace-file.ts';
import { EMPTY_HISTORY, INCOMPLETE_HISTORY } from './session-history.ts';
import {
  emptyRecord,
  endDeadCalls,
  formatRecord,
  historyOf,
  noteCall,
  noteEnd,
  parseRecord,
  type SessionRecord,
} from './session-record.ts';
import type { SessionStore } from './session-store.ts';
import { advanceTime, type ClockReading, readClock } from './shared-clock.ts';

/** UNTRUSTED: callers name sessions. Beyond, a history says that it is incomplete. */
const SESSIONS_MAX = 10_000;
/** A session that was silent for so long makes room when the folder is full. */
const FORGET_AFTER_MS = 31 * 24 * 3600 * 1000;
const RECORD_SUFFIX = '.json';

/** For tests. */
export interface FileSessionsOptions {
  readonly clock?: () => ClockReading;
  readonly sessionsMax?: number;
}

/**
 * Histories in a folder, one file for each session, so that separate command lines share them. A
 * step holds the lock of its session, and replaces the file whole. Calls of a process that died
 * count as having run and failed. Time is the store's own: see {@link advanceTime}.
 *
 * @param folder - made with mode 0700 when it is missing; must not be writable by tools
 */
export function fileSessions(
  folder: string,
  { clock = readClock, sessionsMax = SESSIONS_MAX }: FileSessionsOptions = {},
): SessionStore {
  /** Session of each call that this process noted and has not ended. */
  const entered = new Map<string, string>();
  let last: Promise<unknown> = Promise.resolve();

  /** One step after the other: the lock is made for other processes, and polls. */
  const inTurn = <T>(
    session: string,
    step: (record: SessionRecord, file: string) => Promise<T>,
  ) => {
    const file = join(folder, fileName(session));
    const run = async (): Promise<T> => {
      try {
        makeFolder(folder);
        return await withFileLock(`${file}.lock`, async () => {
          const record = await readRecord(file, session);
          record.time = advanceTime(record.time, clock());
          // Written at once: at the next look it would have ended later.
          if (endDeadCalls(record, isAlive)) await replaceFile(file, formatRecord(record));
          return await step(record, file);
        });
      } catch (error) {
        throw storeError(file, error);
      }
    };
    const turn = last.then(run, run);
    last = turn.catch(() => {});
    return turn;
  };

  return {
    enterSession: async (entry, judge) => {
      if (!entry.isRuled) return judge(EMPTY_HISTORY, entry.now);
      return inTurn(entry.session, async (record, file) => {
        const hasRoom = !record.isNew || (await makeRoom(folder, sessionsMax, clock().wallMs));
        const verdict = judge(hasRoom ? historyOf(record) : INCOMPLETE_HISTORY, record.time.now);
        if (verdict.effect === 'allow' && hasRoom) {
          noteCall(record, entry, processName());
          await replaceFile(file, formatRecord(record));
          entered.set(entry.callId, entry.session);
        }
        return verdict;
      });
    },
    leaveSession: async (callId, end) => {
      const session = entered.get(callId);
      if (session === undefined) return;
      await inTurn(session, async (record, file) => {
        noteEnd(record, callId, end);
        await replaceFile(file, formatRecord(record));
      });
      entered.delete(callId);
    },
  };
}

/** Sessions have any name, and files must not tell it to whoever lists the folder. */
function fileName(session: string): string {
  return `${createHash('sha256').update(session).digest('hex')}${RECORD_SUFFIX}`;
}

async function readRecord(file: string, session: string): Promise<SessionRecord> {
  try {
    return parseRecord(await readFile(file, 'utf8'), session);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyRecord(session);
    throw error;
  }
}

/** @returns false when the folder is full of sessions that may still matter */
async function makeRoom(folder: string, sessionsMax: number, wallMs: number): Promise<boolean> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(RECORD_SUFFIX));
  if (names.length < sessionsMax) return true;
  let left = names.length;
  for (const name of names) {
    const facts = await stat(join(folder, name)).catch(() => null); // somebody else removed it
    if (facts !== null && facts.mtimeMs >= wallMs - FORGET_AFTER_MS) continue;
    await rm(join(folder, name), { force: true });
    left -= 1;
  }
  return left < sessionsMax;
}
