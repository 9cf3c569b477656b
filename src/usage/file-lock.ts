import { randomUUID } from 'node:crypto';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { EnforceError } from '../errors.ts';
import { isAlive, processName } from './process-name.ts';

/** How long a step waits for others; each step takes a few milliseconds. */
const WAIT_MS = 10_000;

/** A breaker of stale locks that takes longer has died. */
const BREAKER_STALE_MS = 10_000;

/**
 * Runs one step at a time among all processes that name the same lock file. A lock whose owner
 * died is broken; nothing else breaks one.
 *
 * @throws {EnforceError} `ENF_STATE_STORE` when the lock is held for longer than 10 s
 */
export async function withFileLock<T>(file: string, step: () => Promise<T>): Promise<T> {
  const token = `${processName()} ${randomUUID()}`;
  await acquire(file, token);
  try {
    return await step();
  } finally {
    await rm(file, { force: true });
  }
}

async function acquire(file: string, token: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (let attempt = 0; !(await create(file, token)); attempt++) {
    if (performance.now() > deadline) {
      const message = `\`${file}\` is held by another process for over ${WAIT_MS / 1000} s`;
      throw new EnforceError('ENF_STATE_STORE', message);
    }
    if (attempt % 8 === 7) await breakStale(file);
    await delay(1 + Math.random() * Math.min(40, 2 * attempt));
  }
}

/** @returns false when the file exists already */
async function create(file: string, content: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    await handle.writeFile(content).finally(() => handle.close());
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Two breakers at once could remove a lock that a third just took, so breaking has a lock too. */
async function breakStale(file: string): Promise<void> {
  const breaker = `${file}.break`;
  if (!(await create(breaker, processName()))) {
    const age = await ageMs(breaker);
    if (age !== null && age > BREAKER_STALE_MS) await rm(breaker, { force: true });
    return;
  }
  try {
    const owner = await readFile(file, 'utf8').catch(() => '');
    const [name = ''] = owner.split(' ');
    if (name !== '' && !isAlive(name)) await rm(file, { force: true });
  } finally {
    await rm(breaker, { force: true });
  }
}

async function ageMs(file: string): Promise<number | null> {
  try {
    return Date.now() - (await stat(file)).mtimeMs;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}
