import type { Json } from '../call.ts';
import type { EntryType } from './entry.ts';
import type { Line } from './line-reader.ts';
import type { SegmentFile } from './segment-files.ts';
import { readError, type TrailFormat, TrailReader } from './trail-reader.ts';

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
  { fromSeq = 0, format }: ReadOptions & { readonly format?: TrailFormat },
  seqOf: (entry: Entry, place: number) => number,
): AsyncGenerator<Entry> {
  let place = 0;
  for await (const { line, segment } of readTrailLines(path, format)) {
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
export async function* readTrailLines(
  path: string,
  format?: TrailFormat,
): AsyncGenerator<PlacedLine> {
  const reader = await TrailReader.open(path, format);
  for await (const { lines, segment } of reader.read()) {
    for (const line of lines) yield { line, segment };
  }
}

/**
 * The entry that stands in a line.
 *
 * @throws {AuditError} `ENF_AUDIT_READ` for a line that is no JSON object
 */
export function parseEntry(
  { bytes, start, end, number, isTooLong }: Line,
  { name }: SegmentFile,
): object {
  try {
    if (isTooLong) throw new RangeError('the line is too long');
    const entry: unknown = JSON.parse(bytes.toString('utf8', start, end));
    if (typeof entry !== 'object' || entry === null) throw new TypeError('the line is no object');
    return entry;
  } catch (error) {
    throw readError(name, `line ${number} is no entry`, error);
  }
}
