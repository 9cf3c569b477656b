import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { LINE_BYTES_MAX } from './sealed-line.ts';

const CHUNK_BYTES = 1024 * 1024;
const GUNZIP_BYTES = 256 * 1024;
/** A chunk of line feeds has as many lines as bytes. */
const BATCH_LINES_MAX = 4_096;
/** A line of so many bytes is no damaged entry: a file that inflates to anything is not read on. */
const ENDLESS_BYTES = 16 * 1024 * 1024;
/** The byte before a line is overwritten while it is hashed, so the first line needs one too. */
const MARGIN = 1;
const LINE_FEED = 0x0a;

/** One line of a file, as a range of a buffer that is reused. */
export interface Line {
  readonly bytes: Buffer;
  /** At least 1. */
  readonly start: number;
  /** Behind the last byte, before the line feed. */
  readonly end: number;
  /** 1-based. */
  readonly number: number;
  /** Bytes of the content up to here, this line and its line feed included. */
  readonly after: number;
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
      readonly reason:
        | 'missing'
        | 'not_regular_file'
        | 'gz_corrupt'
        | 'line_too_long'
        | 'unreadable';
      readonly message: string;
    };

export interface ReadLinesOptions {
  /** Offset of a line in a plain file to begin at; that line has the number 1. */
  readonly from?: number;
  /** How many bytes of the file have been read, for progress. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Reads a plain or gzip file line by line, in memory that does not grow with the file.
 *
 * The lines of a batch share a buffer that the next batch overwrites.
 *
 * @param path - UNTRUSTED file; links, pipes and devices are not opened
 * @returns, as the value of the generator, what became of the file
 */
export async function* readLines(
  path: string,
  isCompressed: boolean,
  { from = 0, onBytes = () => {} }: ReadLinesOptions = {},
): AsyncGenerator<readonly Line[], ReadResult> {
  let handle: FileHandle | undefined;
  try {
    // O_NONBLOCK: a pipe that was put in the place of a segment must not stop the verifier.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) return refuse('not_regular_file', 'is not a regular file');
    yield* splitLines(
      isCompressed ? gunzipSource(handle, facts.size) : plainSource(handle, from),
      from,
      onBytes,
    );
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

function plainSource(handle: FileHandle, from: number): ByteSource {
  let position = from;
  return {
    async read(into, offset) {
      const { bytesRead } = await handle.read(into, offset, into.length - offset, position);
      position += bytesRead;
      return bytesRead;
    },
    consumed: () => position - from,
  };
}

function gunzipSource(handle: FileHandle, size: number): ByteSource {
  const file = handle.createReadStream({ autoClose: false, highWaterMark: CHUNK_BYTES });
  // Errors come out of the iterator below; the callback only keeps them from being unhandled.
  const gunzip = pipeline(file, createGunzip({ chunkSize: GUNZIP_BYTES }), () => {}) as Gunzip;
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

/** Bytes without a line feed, of which a few megabytes of gzip hold any number. */
class EndlessLineError extends Error {
  readonly code = 'ENDLESS_LINE';
  override readonly message: string = `has more than ${ENDLESS_BYTES} bytes without a line feed`;
}

/** zlib ignores what follows the last gzip member; an audit trail does not. */
class GzipTrailerError extends Error {
  readonly code = 'Z_TRAILING_DATA';
  override readonly message = 'has bytes behind its gzip stream';
}

async function* splitLines(
  source: ByteSource,
  from: number,
  onBytes: (bytes: number) => void,
): AsyncGenerator<readonly Line[]> {
  const bytes = Buffer.alloc(MARGIN + CHUNK_BYTES + LINE_BYTES_MAX);
  let filled = MARGIN;
  let number = 1;
  let isCut = false;
  /** Bytes of the line at MARGIN that were cut off. */
  let cutBytes = 0;
  /** Offset in the content of what stands at MARGIN. */
  let base = from;
  for (;;) {
    const read = await source.read(bytes, filled);
    if (read === 0) break;
    onBytes(source.consumed());
    let lines: Line[] = [];
    let start = MARGIN;
    const until = filled + read;
    for (
      let end = findLineEnd(bytes, filled, until);
      end !== -1;
      end = findLineEnd(bytes, start, until)
    ) {
      const isTooLong = isCut || end - start >= LINE_BYTES_MAX;
      const after = base + end + 1 - MARGIN;
      lines.push({ bytes, start, end, number, after, isWhole: true, isTooLong });
      isCut = false;
      cutBytes = 0;
      number += 1;
      start = end + 1;
      if (lines.length >= BATCH_LINES_MAX) {
        yield lines;
        lines = [];
      }
    }
    yield lines;
    base += start - MARGIN;
    filled = keepRest(bytes, start, until);
    // A line that is too long is cut to what fits, so that the buffer always has room.
    if (filled - MARGIN > LINE_BYTES_MAX) {
      isCut = true;
      const cut = filled - MARGIN - LINE_BYTES_MAX;
      base += cut;
      cutBytes += cut;
      if (cutBytes > ENDLESS_BYTES) throw new EndlessLineError();
      filled = MARGIN + LINE_BYTES_MAX;
    }
  }
  if (filled > MARGIN) {
    const after = base + filled - MARGIN;
    yield [{ bytes, start: MARGIN, end: filled, number, after, isWhole: false, isTooLong: isCut }];
  }
}

function findLineEnd(bytes: Buffer, from: number, until: number): number {
  const end = bytes.indexOf(LINE_FEED, from);
  return end < until ? end : -1;
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
  if (code === 'ENDLESS_LINE') return refuse('line_too_long', error.message);
  if (code?.startsWith('Z_') || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return refuse('gz_corrupt', `is not an intact gzip file: ${error.message}`);
  }
  return refuse('unreadable', `cannot be read: ${error.message}`);
}

function refuse(reason: Exclude<ReadResult, { ok: true }>['reason'], message: string): ReadResult {
  return { ok: false, reason, message };
}
