import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isEnforceError } from '../errors.ts';
import { type CallFacts, type EntryFilter, isWanted, OpenCalls } from './entry-filter.ts';
import type { ExportedEntry } from './entry-schema.ts';
import { checkForm, toExported } from './export.ts';
import type { SegmentFile } from './segment-files.ts';
import { parseSegmentHeader } from './segment-header.ts';
import { type TrailFormat, TrailReader } from './trail-reader.ts';

/** Which entries are wanted, and what to do at their end. */
export interface BrowseOptions {
  readonly filter?: EntryFilter;
  /** Only the last so many of those that are there, at most 10,000. */
  readonly tail?: number;
  /** Goes on with what is written later, until the signal is aborted. */
  readonly follow?: AbortSignal;
  readonly format?: TrailFormat;
  /** A line is no entry. It is left out; `verifyTrail` says more. */
  readonly onDamage?: (message: string) => void;
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
}

/** An entry with what is known of its call. */
export interface BrowsedEntry {
  readonly entry: ExportedEntry;
  readonly call: CallFacts | undefined;
}

/** Entries that `tail` may ask for: they are kept in memory. */
export const TAIL_MAX = 10_000;
/** UNTRUSTED: a small compressed file holds any number of lines that are no entries. */
const DAMAGE_MAX = 1_000;
const POLL_MS = 200;

/**
 * Yields the wanted entries of a trail, oldest first, in memory that does not grow with it. It
 * verifies nothing, and passes over lines that are damaged.
 *
 * @param path - directory of a trail, or one of its files
 * @throws {AuditError} `ENF_AUDIT_READ` when the trail cannot be read, or at the damaged line after
 *   a thousand others
 */
export async function* browseTrail(
  path: string,
  options: BrowseOptions = {},
): AsyncGenerator<BrowsedEntry> {
  const { tail, filter = {}, follow } = options;
  const reader = await TrailReader.open(path, options.format);
  const segments = await reader.segments();
  const first = tail === undefined || hasKeys(filter) ? null : await startOfTail(reader, tail);
  if (first !== null) reader.startAt(first);
  const source = new EntrySource(reader, options, await sizeFrom(reader, segments, first));
  if (tail === undefined) yield* source.read();
  else yield* await lastOf(source.read(), tail);
  while (follow?.aborted === false) {
    await pause(follow);
    yield* source.read();
  }
}

/** Turns lines into entries that are wanted. */
class EntrySource {
  readonly #reader: TrailReader;
  readonly #options: BrowseOptions;
  readonly #totalBytes: number;
  readonly #calls = new OpenCalls();
  #place = 0;
  #damaged = 0;

  constructor(reader: TrailReader, options: BrowseOptions, totalBytes: number) {
    this.#reader = reader;
    this.#options = options;
    this.#totalBytes = totalBytes;
  }

  async *read(): AsyncGenerator<BrowsedEntry> {
    const { filter = {}, onProgress } = this.#options;
    const onBytes = (bytes: number): void =>
      onProgress?.({ bytes, totalBytes: Math.max(bytes, this.#totalBytes) });
    for await (const { lines, segment } of this.#reader.read(onBytes)) {
      for (const line of lines) {
        const entry = line.isWhole ? this.#parse(line, segment) : null;
        if (entry === null) continue;
        const call = this.#calls.next(entry);
        const wanted = isWanted(filter, entry, call) ? this.#withForm(entry) : null;
        if (wanted !== null) yield { entry: wanted, call };
      }
    }
  }

  #parse(line: Parameters<typeof toExported>[0], segment: SegmentFile): ExportedEntry | null {
    const { format = 'enforcecore' } = this.#options;
    return this.#orDamage(() => toExported(line, segment, { format, place: this.#place++ }));
  }

  /** Only what is shown is checked: it costs more than parsing. */
  #withForm(entry: ExportedEntry): ExportedEntry | null {
    return this.#orDamage(() => checkForm(entry));
  }

  #orDamage(read: () => ExportedEntry): ExportedEntry | null {
    try {
      return read();
    } catch (error) {
      if (!isEnforceError(error)) throw error;
      this.#damaged += 1;
      if (this.#damaged > DAMAGE_MAX) throw error;
      this.#options.onDamage?.(error.message);
      return null;
    }
  }
}

/** The newest segment behind which the trail has `tail` entries more; null for the first. */
async function startOfTail(reader: TrailReader, tail: number): Promise<SegmentFile | null> {
  const segments = await reader.segments();
  let newest: number | null = null;
  for (const segment of segments.toReversed()) {
    const line = await reader.firstLine(segment);
    const size = line === null ? undefined : parseSegmentHeader(line)?.frontier.size;
    if (size === undefined) return null; // damaged, or of another format: read all of it
    newest ??= size;
    if (newest - size >= tail) return segment;
  }
  return null;
}

async function sizeFrom(
  reader: TrailReader,
  segments: readonly SegmentFile[],
  first: SegmentFile | null,
): Promise<number> {
  const read = segments.filter(({ number }) => number >= (first?.number ?? 0));
  const facts = read.map((segment) => stat(reader.pathOf(segment)).catch(() => null));
  return (await Promise.all(facts)).reduce((sum, each) => sum + (each?.size ?? 0), 0);
}

async function lastOf(
  entries: AsyncIterable<BrowsedEntry>,
  count: number,
): Promise<BrowsedEntry[]> {
  const ring: BrowsedEntry[] = [];
  let next = 0;
  for await (const entry of entries) {
    if (count === 0) continue;
    ring[next] = entry;
    next = (next + 1) % count;
  }
  return ring.length < count ? ring : [...ring.slice(next), ...ring.slice(0, next)];
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(POLL_MS, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

const hasKeys = (filter: EntryFilter): boolean => Object.keys(filter).length > 0;
