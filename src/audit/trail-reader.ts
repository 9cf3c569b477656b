import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AuditError } from '../errors.ts';
import { type Line, type ReadResult, readLines } from './line-reader.ts';
import { listSegments, parseSegmentName, type SegmentFile } from './segment-files.ts';

/** File that the Python EnforceCore writes into its audit directory. */
export const PYTHON_TRAIL_NAME = 'trail.jsonl';

/** Who wrote a trail. */
export type TrailFormat = 'enforcecore' | 'enforcecore-py';

/** Lines of one segment, which share a buffer that the next batch overwrites. */
export interface LineBatch {
  readonly lines: readonly Line[];
  readonly segment: SegmentFile;
}

/** Where a trail lies: a directory of segments, or one file. */
interface Place {
  readonly directory: string;
  readonly file: SegmentFile | null;
}

/** Reads the lines of a trail, and goes on where it stopped when it is asked again. */
export class TrailReader {
  readonly #place: Place;
  #segment: SegmentFile | null = null;
  /** Bytes of whole lines that were read of the segment, when it is not compressed. */
  #offset = 0;
  /** Whole lines that were read of the segment. */
  #lines = 0;
  #bytesBefore = 0;
  #segmentBytes = 0;

  private constructor(place: Place) {
    this.#place = place;
  }

  /**
   * @param path - directory of a trail, or one of its files
   * @throws {AuditError} `ENF_AUDIT_READ` when there is no trail
   */
  static async open(path: string, format: TrailFormat = 'enforcecore'): Promise<TrailReader> {
    const reader = new TrailReader(await locate(path, format));
    if ((await reader.segments()).length === 0) throw readError(path, 'has no segment files');
    return reader;
  }

  /** Segments that are there now, oldest first, each once. */
  async segments(): Promise<readonly SegmentFile[]> {
    const { directory, file } = this.#place;
    if (file !== null) return [file];
    const segments = listSegments(await readdir(directory));
    return segments.filter(({ number }, index) => segments[index - 1]?.number !== number);
  }

  pathOf({ name }: SegmentFile): string {
    return join(this.#place.directory, name);
  }

  /** First line of a segment; null where there is none that can be read. */
  async firstLine(segment: SegmentFile): Promise<string | null> {
    for await (const [first] of readLines(this.pathOf(segment), segment.isCompressed)) {
      if (first !== undefined) return first.bytes.toString('utf8', first.start, first.end);
    }
    return null;
  }

  /** Leaves out what lies before a segment. */
  startAt(segment: SegmentFile): void {
    this.#moveTo(segment);
  }

  /**
   * Yields what was written since the last time, segment by segment. Bytes behind the last line feed
   * come as a line that is not whole, each time again until it is.
   *
   * @param onBytes - how many bytes of files have been read so far
   * @throws {AuditError} `ENF_AUDIT_READ` when a segment cannot be read
   */
  async *read(onBytes: (bytes: number) => void = () => {}): AsyncGenerator<LineBatch> {
    for (;;) {
      // INVARIANT: successors are listed before a segment is read, so one that has a successor is whole.
      const segments = await this.segments();
      const number = this.#segment?.number ?? Number.NEGATIVE_INFINITY;
      const current = segments.find((each) => each.number >= number);
      if (current === undefined) return;
      if (current.number !== this.#segment?.number) this.#moveTo(current);
      yield* this.#readOn(current, onBytes);
      const next = segments.find((each) => each.number > current.number);
      if (next === undefined) return;
      this.#moveTo(next);
    }
  }

  #moveTo(segment: SegmentFile): void {
    this.#bytesBefore += this.#segmentBytes;
    this.#segmentBytes = 0;
    this.#segment = segment;
    this.#offset = 0;
    this.#lines = 0;
  }

  async *#readOn(
    segment: SegmentFile,
    onBytes: (bytes: number) => void,
  ): AsyncGenerator<LineBatch> {
    let result = yield* this.#readFile(segment, onBytes);
    // A trail that is written may have compressed the segment since its directory was listed.
    const isGone = !result.ok && result.reason === 'missing' && !segment.isCompressed;
    const compressed = { ...segment, name: `${segment.name}.gz`, isCompressed: true };
    if (isGone) result = yield* this.#readFile(compressed, onBytes);
    if (!result.ok) throw readError(segment.name, result.message);
  }

  /** Skips what was read before: to an offset in a plain file, by lines in a compressed one. */
  async *#readFile(
    segment: SegmentFile,
    onBytes: (bytes: number) => void,
  ): AsyncGenerator<LineBatch, ReadResult> {
    const { isCompressed } = segment;
    const from = isCompressed ? 0 : this.#offset;
    const before = isCompressed ? 0 : this.#lines;
    const seen = isCompressed ? this.#lines : 0;
    const batches = readLines(this.pathOf(segment), isCompressed, {
      from,
      onBytes: (bytes) => {
        this.#segmentBytes = from + bytes;
        onBytes(this.#bytesBefore + this.#segmentBytes);
      },
    });
    try {
      let batch = await batches.next();
      for (; !batch.done; batch = await batches.next()) {
        const lines = batch.value
          .filter(({ number }) => number > seen)
          .map((line) => (before === 0 ? line : { ...line, number: line.number + before }));
        this.#pass(lines);
        yield { lines, segment };
      }
      return batch.value;
    } finally {
      // A caller that stops early leaves the file open otherwise.
      await batches.return({ ok: true });
    }
  }

  #pass(lines: readonly Line[]): void {
    const last = lines.findLast(({ isWhole }) => isWhole);
    if (last === undefined) return;
    this.#offset = last.after;
    this.#lines = last.number;
  }
}

async function locate(path: string, format: TrailFormat): Promise<Place> {
  const isDirectory = await stat(path).then(
    (facts) => facts.isDirectory(),
    (error: Error) => {
      throw readError(path, `cannot be read: ${error.message}`, error);
    },
  );
  if (isDirectory && format === 'enforcecore') return { directory: path, file: null };
  const file = isDirectory ? join(path, PYTHON_TRAIL_NAME) : path;
  return { directory: dirname(file), file: namedSegment(basename(file)) };
}

/** A segment by the name of its file, also one that was renamed. */
export function namedSegment(name: string): SegmentFile {
  return parseSegmentName(name) ?? { number: 0, name, isCompressed: name.endsWith('.gz') };
}

/** What cannot be read as a trail. */
export function readError(name: string, what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_READ', `\`${name}\` ${what}`, { cause });
}
