import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { EnforceError } from '../errors.ts';

// No such flag on Windows.
const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW = 0 } = constants;

/** One that a crash left is written over; one that somebody put there as a link is not followed. */
const REPLACING = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;

/** Replaces a file whole: a crash, also of the host, leaves the file of before or after. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const next = `${file}.next`;
  const handle = await open(next, REPLACING, 0o600);
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}

/** Why a file of the state folder cannot be used; never what is in it. */
export function storeError(file: string, error: unknown): EnforceError {
  if (error instanceof EnforceError) return error;
  const reason = error instanceof Error ? error.name : typeof error;
  const code = (error as NodeJS.ErrnoException).code ?? reason;
  const message = `the state file \`${file}\` cannot be used (${code})`;
  return new EnforceError('ENF_STATE_STORE', message, { cause: error });
}
