import { open, rename, rm } from 'node:fs/promises';
import { EnforceError } from '../errors.ts';

/** Replaces a file whole: a crash, also of the host, leaves the file of before or after. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const next = `${file}.next`;
  // Left by a crash, or put there by somebody as a link to another file.
  await rm(next, { force: true });
  const handle = await open(next, 'wx', 0o600);
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
