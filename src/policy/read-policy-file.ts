import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Problem } from './problem.ts';

/** Room for 10,000 tools with a section each; a larger file is a mistake or an attack. */
const FILE_BYTES_MAX = 1_048_576;

/** The text of a policy file, or why there is none. */
export type FileReading = { readonly text: string } | { readonly problem: Problem };

/** Reads a policy file whole: a regular file of at most 1 MiB of UTF-8. */
export async function readPolicyFile(path: string): Promise<FileReading> {
  const file = resolve(path);
  const unreadable = (message: string, code: 'unreadable' | 'too-large' = 'unreadable') => ({
    problem: { file, line: 0, column: 0, path: '', code, message },
  });
  try {
    // Non-blocking: opening a named pipe would otherwise wait for a writer for ever.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) return unreadable('is not a regular file');
      if (stat.size > FILE_BYTES_MAX) {
        return unreadable(
          `has ${stat.size} bytes, at most ${FILE_BYTES_MAX} are read`,
          'too-large',
        );
      }
      const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
      const length = await readFully(handle, bytes);
      if (length > FILE_BYTES_MAX) {
        return unreadable(`grew beyond ${FILE_BYTES_MAX} bytes`, 'too-large');
      }
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return unreadable(reasonOf(error));
  }
}

async function readFully(
  handle: { read(buffer: Buffer, offset: number): Promise<{ bytesRead: number }> },
  bytes: Buffer,
): Promise<number> {
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  if (code === 'EISDIR') return 'is a folder';
  if (error instanceof TypeError) return 'is not UTF-8 text';
  return `cannot be read (${code ?? String(error)})`;
}
