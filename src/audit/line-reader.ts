import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { LINE_BYTES_MAX } from './sealed-line.ts';

const CHUNK_BYTES = 1024 * 1024;
/** The byte before a line is overwritten while it is hashed, so the first line needs one too. */
const MARGIN = 1;
const LINE_FEED = 0x0a;

/** One line of a file, as a range of a buffer that is reused: valid until the visitor returns. */
export interface Line {
  readonly bytes: Buffer;
  /** At least 1. */
  readonly start: number;
  /** Behind the last byte, before the line feed. */
  readonly end: number;
  /** 1-based. */
  readonly number: number;
  /** False for bytes behind the last line feed. */
  readonly isWhole: boolean;
  /** Longer than a line may be; only its beginning is in the range. */
  readonly isTooLong: boolean;
}

/** What became of a file that was read to its end. */
export type ReadResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reason: 'missing' | 'not_regular_file' | 'gz_corrupt' | 'unreadable';
      readonly message: string;
    };

/**
 * Gives every line of a plain or gzip file to `visit`, in memory that does not grow with the file.
 *
 * @param path - UNTRUSTED file; links, pipes and devices are not opened
 * @param onBytes - how many bytes of the file have been read, for progress
 */
export async function readLines(
  path: string,
  isCompressed: boolean,
  visit: (line: Line) => void,
  onBytes: (bytes: number) => void = () => {},
): Promise<ReadResult> {
  let handle: FileHandle | undefined;
  try {
    // O_NONBLOCK: a pipe that was put in the place of a segment must not stop the verifier.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) return refuse('not_regular_file', 'is not a regular file');
    const source = isCompressed ? gunzipSource(handle, facts.size) : plainSource(handle);
    await splitLines(source, visit, onBytes);
    return { ok: true };
  } catch (error) {
    return explain(error as NodeJS.ErrnoException);
  } finally {
    await handle?.close();
  }
}

/** Fills a part of a buffer; 0 at the end. */
interface ByteSource {
  read(into: Buffer, offset: number): Promise<number>;
  /** Bytes of the file consumed so far. */
  consumed(): number;
}

function plainSource(handle: FileHandle): ByteSource {
  let position = 0;
  return {
    async read(into, offset) {
      const { bytesRead } = await handle.read(into, offset, into.length - offset, position);
      position += bytesRead;
      return bytesRead;
    },
    consumed: () => position,
  };
}

function gunzipSource(handle: FileHandle, size: number): ByteSource {
  const file = handle.createReadStream({ autoClose: false, highWaterMark: CHUNK_BYTES });
  // Errors come out of the iterator below; the callback only keeps them from being unhandled.
  const gunzip = pipeline(file, createGunzip(), () => {}) as Gunzip;
  const chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  return {
    async read(into, offset) {
      while (rest.length === 0) {
        const next = await chunks.next();
        if (next.done) {
          if (gunzip.bytesWritten !== size) throw new GzipTrailerError();
          return 0;
        }
        rest = next.value;
      }
      const copied = rest.copy(into, offset);
      rest = rest.subarray(copied);
      return copied;
    },
    consumed: () => Math.min(file.bytesRead, size),
  };
}

/** zlib ignores what follows the last gzip member; an audit trail does not. */
class GzipTrailerError extends Error {
  readonly code = 'Z_TRAILING_DATA';
  override readonly message = 'has bytes behind its gzip stream';
}

async function splitLines(
  source: ByteSource,
  visit: (line: Line) => void,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const bytes = Buffer.alloc(MARGIN + CHUNK_BYTES + LINE_BYTES_MAX);
  let filled = MARGIN;
  let number = 1;
  let isTooLong = false;
  for (;;) {
    const read = await source.read(bytes, filled);
    if (read === 0) break;
    onBytes(source.consumed());
    const scanned = filled;
    filled += read;
    let start = MARGIN;
    let end = bytes.indexOf(LINE_FEED, scanned);
    for (; end !== -1 && end < filled; end = bytes.indexOf(LINE_FEED, start)) {
      visit({
        bytes,
        start,
        end,
        number,
        isWhole: true,
        isTooLong: isTooLong || end - start >= LINE_BYTES_MAX,
      });
      isTooLong = false;
      number += 1;
      start = end + 1;
    }
    filled = keepRest(bytes, start, filled);
    // A line that is too long is cut to what fits, so that the buffer always has room.
    if (filled - MARGIN > LINE_BYTES_MAX) {
      isTooLong = true;
      filled = MARGIN + LINE_BYTES_MAX;
    }
  }
  if (filled > MARGIN) {
    visit({ bytes, start: MARGIN, end: filled, number, isWhole: false, isTooLong });
  }
}

function keepRest(bytes: Buffer, start: number, filled: number): number {
  bytes.copyWithin(MARGIN, start, filled);
  return MARGIN + filled - start;
}

function explain(error: NodeJS.ErrnoException): ReadResult {
  const { code } = error;
  if (code === 'ENOENT') return refuse('missing', 'does not exist');
  if (code === 'ELOOP') return refuse('not_regular_file', 'is a symbolic link');
  if (code === 'ENXIO') return refuse('not_regular_file', 'is not a regular file');
  if (code?.startsWith('Z_') || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return refuse('gz_corrupt', `is not an intact gzip file: ${error.message}`);
  }
  return refuse('unreadable', `cannot be read: ${error.message}`);
}

function refuse(reason: Exclude<ReadResult, { ok: true }>['reason'], message: string): ReadResult {
  return { ok: false, reason, message };
}
