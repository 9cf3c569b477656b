import { createHash } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { LINE_BYTES_MAX } from './sealed-line.ts';

/** Measured on trails: 5.7 times smaller at 104 MB/s; level 6 gains 4 % and costs a third. */
const GZIP_LEVEL = 1;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Compresses a file into one that must not exist yet. */
export async function compressFile(from: string, to: string): Promise<void> {
  const target = createWriteStream(to, {
    flags: O_CREAT | O_EXCL | O_WRONLY,
    mode: 0o600,
  } as never);
  await pipeline(openContent(from, false), createGzip({ level: GZIP_LEVEL }), target);
}

/** SHA-256 of the content of a plain or compressed file, 64 hex digits. */
export async function digestFile(path: string, isCompressed: boolean): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(openContent(path, isCompressed), hash);
  return hash.digest('hex');
}

/** First line of a file without its line feed; null when there is none of a line's length. */
export async function readFirstLine(path: string, isCompressed: boolean): Promise<string | null> {
  let text = '';
  for await (const chunk of openContent(path, isCompressed)) {
    text += (chunk as Buffer).toString('latin1');
    const end = text.indexOf('\n');
    if (end !== -1) return Buffer.from(text.slice(0, end), 'latin1').toString();
    if (text.length > LINE_BYTES_MAX) break;
  }
  return null;
}

function openContent(path: string, isCompressed: boolean): Readable {
  // A link or a pipe in the place of a segment is not followed and not waited for.
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  const file = createReadStream(path, { flags } as never);
  if (!isCompressed) return file;
  const content = createGunzip();
  file.on('error', (error) => content.destroy(error));
  content.on('close', () => file.destroy());
  return file.pipe(content);
}
