import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AuditError } from '../errors.ts';
import type { TrailOptions } from './audit-trail.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { CHECKPOINT_NAME, HISTORY_NAME } from './checkpoint-files.ts';
import { type LockOwner, readOwner } from './lock-owner.ts';
import { openDirectoryTrail } from './open-trail.ts';
import { splitNotes } from './signed-note.ts';
import { LOCK_NAME, TAKEOVER_NAME } from './trail-lock.ts';
import { verifyTrail } from './verify.ts';

/** What recovering may do beyond cutting a torn end. */
export interface RecoverOptions {
  readonly path: string;
  /** Key of a signed trail. */
  readonly key?: TrailOptions['key'];
  /** Remove the lock, although its owner may be alive. */
  readonly breakLock?: boolean;
  /** Continue a trail that is shorter than its checkpoint; the loss is recorded. */
  readonly acceptLoss?: boolean;
}

/** What recovering did. */
export interface RecoverReport {
  readonly brokenLock: LockOwner | 'unknown' | null;
  /** The checkpoint that the trail no longer reaches. */
  readonly lostCheckpoint: string | null;
  /** Entries after recovering. */
  readonly entries: number;
}

/**
 * Makes a trail that refuses to open take entries again, by an operator's decision.
 *
 * Accepting a loss keeps the origin: an outside verifier that holds the lost checkpoint goes on to
 * see the trail as cut, which it is. The checkpoints that it no longer reaches are kept aside.
 *
 * @throws {AuditError} `ENF_AUDIT_OPEN` when the trail is damaged in a way that nothing here repairs
 */
export async function recoverTrail(options: RecoverOptions): Promise<RecoverReport> {
  const path = resolve(options.path);
  const brokenLock = options.breakLock ? breakLock(path) : null;
  const lostCheckpoint = options.acceptLoss ? await setAsideCheckpoints(path) : null;
  const trail = await openDirectoryTrail({
    path,
    ...(options.key === undefined ? {} : { key: options.key }),
  });
  if (lostCheckpoint !== null) await trail.appendOwn({ type: 'recovery', lostCheckpoint });
  await trail.close();
  const { entries } = await verifyTrail(path);
  return { brokenLock, lostCheckpoint, entries };
}

function breakLock(path: string): LockOwner | 'unknown' | null {
  const lock = join(path, LOCK_NAME);
  const takeover = join(path, TAKEOVER_NAME);
  if (existsSync(takeover)) unlinkSync(takeover);
  if (!existsSync(lock)) return null;
  const owner = readOwner(lock) ?? 'unknown';
  unlinkSync(lock);
  return owner;
}

/** Moves what the trail no longer reaches out of the way; the newest of it is the evidence. */
async function setAsideCheckpoints(path: string): Promise<string | null> {
  const { entries, problems } = await verifyTrail(path);
  const damage = problems.find(({ kind }) => kind !== 'torn_tail');
  if (damage !== undefined) {
    throw new AuditError(
      'ENF_AUDIT_OPEN',
      `audit trail \`${path}\` is damaged: ${damage.kind}, ${damage.message}`,
    );
  }
  const file = join(path, CHECKPOINT_NAME);
  const source = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const size = parseCheckpoint(source)?.size ?? 0;
  if (size <= entries) return null;
  renameSync(file, `${file}.lost-${size}`);
  setAsideHistory(join(path, HISTORY_NAME), entries, size);
  return source;
}

function setAsideHistory(file: string, entries: number, size: number): void {
  if (!existsSync(file)) return;
  const notes = splitNotes(readFileSync(file, 'utf8'));
  const isReached = (note: string): boolean => (parseCheckpoint(note)?.size ?? 0) <= entries;
  writeFileSync(`${file}.lost-${size}`, notes.filter((note) => !isReached(note)).join(''), {
    mode: 0o600,
  });
  writeFileSync(`${file}.tmp`, notes.filter(isReached).join(''), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
