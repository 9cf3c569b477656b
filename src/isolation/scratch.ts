import { rmdirSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = 'enforcecore-';
const FOLDERS_SWEPT_MAX = 10_000;

/**
 * A private folder for one call (mode 0700): its working directory, HOME and TMPDIR. The name holds
 * the supervisor's pid so that leftovers of a crashed one can be told from those in use.
 *
 * @param root - usually the system's temporary folder
 */
export async function createScratch(root: string): Promise<string> {
  return mkdtemp(join(root, `${PREFIX}${process.pid}-`));
}

/**
 * Removes a scratch folder and whatever the tool left in it, links unfollowed.
 *
 * @throws what `rm` throws when it cannot be removed even after modes were repaired
 */
export async function removeScratch(path: string): Promise<void> {
  if (removeEmpty(path)) return;
  const options = { recursive: true, force: true, maxRetries: 2, retryDelay: 10 };
  try {
    await rm(path, options);
  } catch {
    // A tool may take the modes off its folders; they are ours, so they can be put back.
    await makeRemovable(path);
    await rm(path, options);
  }
}

/** The rule: where the tool's scratch is a file system of its own, this folder only bears its name. */
function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    // Whatever it was, the removal that follows meets it again, and says so.
    return false;
  }
}

async function makeRemovable(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeRemovable(join(path, entry.name));
  }
}

const NAME = new RegExp(`^${PREFIX}(\\d+)-[A-Za-z0-9]{6}$`);

/**
 * Removes the scratch folders of a user that only calls run as.
 *
 * @param uid - nothing may run as it any more
 */
export async function removeScratchOf(root: string, uid: number): Promise<void> {
  for (const name of (await readdir(root)).filter((each) => NAME.test(each))) {
    const path = join(root, name);
    const facts = await lstat(path).catch(() => null);
    if (facts?.isDirectory() === true && facts.uid === uid) await removeScratch(path);
  }
}

/**
 * Removes scratch folders whose supervisor no longer lives. Only folders of this user are touched.
 * Never rejects: a leftover that cannot be read or removed must not keep new calls from running.
 *
 * @param isAlive - whether a process with this pid exists
 * @returns how many were removed
 */
export async function sweepScratch(
  root: string,
  isAlive: (pid: number) => boolean,
  remove: (path: string) => Promise<void> = removeScratch,
): Promise<number> {
  const names = await readdir(root).catch(() => []);
  let removed = 0;
  for (const name of names.filter((each) => NAME.test(each)).slice(0, FOLDERS_SWEPT_MAX)) {
    const path = join(root, name);
    if (isAlive(Number(NAME.exec(name)?.[1])) || !(await isOwnFolder(path))) continue;
    removed += await remove(path).then(
      () => 1,
      () => 0,
    );
  }
  return removed;
}

async function isOwnFolder(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => null);
  return facts?.isDirectory() === true && facts.uid === process.getuid?.();
}
