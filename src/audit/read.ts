import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Json } from '../call.ts';
import { AuditError } from '../errors.ts';
import type { EntryType } from './entry.ts';
import { type Line, readLines } from './line-reader.ts';
import { listSegments, parseSegmentName, type SegmentFile } from './segment-files.ts';

/** An entry as it is stored: members in snake_case, besides those named here by its type. */
export interface StoredEntry {
  readonly v: number;
  readonly type: EntryType;
  readonly seq: number;
  /** UTC with milliseconds. */
  readonly ts: string;
  readonly entry_id: string;
  readonly previous_hash: string;
  readonly entry_hash: string;
  readonly [member: string]: Json | undefined;
}

/** An entry of a trail of the Python EnforceCore, as it is stored. */
export interface PythonEntry {
  readonly entry_id: string;
  readonly call_id: string;
  readonly timestamp: string;
  readonly tool_name: string;
  readonly decision: string;
  readonly previous_hash: string;
  readonly entry_hash: string;
  readonly [member: string]: Json | undefined;
}

/** Which entries are read. */
export interface ReadOptions {
  /** Entries with a smaller sequence number, 0-based, are left out. */
  readonly fromSeq?: number;
}

/** One line of a trail with its place. */
export interface PlacedLine {
  readonly line: Line;
  readonly segment: SegmentFile;
}

/**
 * Yields the entries of a trail, oldest first; it verifies nothing.
 *
 * @param path - directory of a trail, or one segment file
 * @throws {AuditError} `ENF_AUDIT_READ` when there is no trail, or at a line that is no entry; bytes
 *   behind the last line feed are an entry that is being written, or was never finished
 */
export function readTrail(
  path: string,
  options: ReadOptions & { readonly format: 'enforcecore-py' },
): AsyncIterable<PythonEntry>;
export function readTrail(path: string, options?: ReadOptions): AsyncIterable<StoredEntry>;
export function readTrail(
  path: string,
  options: ReadOptions & { readonly format?: 'enforcecore-py' } = {},
): AsyncIterable<StoredEntry> | AsyncIterable<PythonEntry> {
  if (options.format === undefined) {
    return readEntries<StoredEntry>(path, options, (entry) => entry.seq);
  }
  // Trails of the Python EnforceCore have no sequence numbers.
  return readEntries<PythonEntry>(path, options, (_, place) => place);
}

async function* readEntries<Entry>(
  path: string,
  { fromSeq = 0 }: ReadOptions,
  seqOf: (entry: Entry, place: number) => number,
): AsyncGenerator<Entry> {
  let place = 0;
  for await (const { line, segment } of readTrailLines(path)) {
    if (!line.isWhole) continue;
    const entry = parseEntry(line, segment) as Entry;
    if (seqOf(entry, place) >= fromSeq) yield entry;
    place += 1;
  }
}

/**
 * Yields the lines of a trail, segment by segment.
 *
 * @throws {AuditError} `ENF_AUDIT_READ` when there is no trail or a segment cannot be read
 */
export async function* readTrailLines(path: string): AsyncGenerator<PlacedLine> {
  const { directory, segments } = await findSegments(path);
  for (const [index, segment] of segments.entries()) {
    if (segments[index - 1]?.number === segment.number) continue; // its plain file was read
    const batches = readLines(join(directory, segment.name), segment.isCompressed);
    try {
      let batch = await batches.next();
      for (; !batch.done; batch = await batches.next()) {
        for (const line of batch.value) yield { line, segment };
      }
      if (!batch.value.ok) throw readError(segment.name, batch.value.message);
    } finally {
      // A caller that stops early leaves the file open otherwise.
      await batches.return({ ok: true });
    }
  }
}

/** Segments of a trail directory, or the one file that a path names. */
async function findSegments(
  path: string,
): Promise<{ readonly directory: string; readonly segments: readonly SegmentFile[] }> {
  try {
    if (!(await stat(path)).isDirectory()) {
      return { directory: dirname(path), segments: [namedSegment(basename(path))] };
    }
    const segments = listSegments(await readdir(path));
    if (segments.length > 0) return { directory: path, segments };
  } catch (error) {
    throw readError(path, `cannot be read: ${(error as Error).message}`, error);
  }
  throw readError(path, 'has no segment files');
}

/** A segment by the name of its file, also one that was renamed. */
export function namedSegment(name: string): SegmentFile {
  return parseSegmentName(name) ?? { number: 0, name, isCompressed: name.endsWith('.gz') };
}

function parseEntry({ bytes, start, end, number, isTooLong }: Line, { name }: SegmentFile): object {
  try {
    if (isTooLong) throw new RangeError('the line is too long');
    const entry: unknown = JSON.parse(bytes.toString('utf8', start, end));
    if (typeof entry !== 'object' || entry === null) throw new TypeError('the line is no object');
    return entry;
  } catch (error) {
    throw readError(name, `line ${number} is no entry`, error);
  }
}

function readError(name: string, what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_READ', `\`${name}\` ${what}`, { cause });
}
