import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { AuditError } from '../errors.ts';
import type { TornBytes, TrailEntry } from './entry.ts';
import {
  type FileFacts,
  type FileLayer,
  syncDirectory,
  writeFully,
  writeFullyAsync,
} from './file-layer.ts';
import {
  hashStoredLine,
  LINE_BYTES_MAX,
  type SealedEntry,
  splitLine,
  TrailHead,
} from './sealed-line.ts';
import { listSegments, segmentName } from './segment-files.ts';
import { parseSegmentHeader } from './segment-header.ts';
import { type Envelope, entryBody } from './stored-entry.ts';

/** Mode of a segment that takes no more entries; other supervisors see it at their next append. */
const CLOSED_MODE = 0o400;
const OWNER_WRITE = 0o200;
const MODE_BITS = 0o7777;
const READ_BYTES = 1024 * 1024;
/** More than a torn write leaves, zeros of a crashed file system included. */
const REST_BYTES_MAX = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;
const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = constants;

/** What the header of a new segment says besides where the trail stands. */
export interface SegmentFacts {
  readonly origin: string;
  readonly vkey: string | null;
  readonly keyKept?: string | undefined;
}

/** What following the trail brought to light. */
export interface FollowResult {
  /** The trail has no segment that takes entries: it is new, or its last segment was closed. */
  readonly needsSegment: boolean;
  /** Cut off the end of the last segment. */
  readonly torn: TornBytes | null;
}

const FOLLOWED: FollowResult = { needsSegment: false, torn: null };

/**
 * The segment files of a trail, seen by one writer.
 *
 * Every method but `close` needs the lock of the trail to be held. The descriptor of the newest
 * segment is kept, so an append is one write(2) and one stat(2).
 */
export class TrailDirectory {
  readonly path: string;
  readonly #files: FileLayer;
  readonly #clock: () => Date;
  #head = new TrailHead();
  #number = 0;
  #fd = -1;
  #facts: FileFacts | null = null;
  #origin: string | null = null;
  #vkey: string | null = null;
  #headerLine = '';
  #outbox: SealedEntry[] | null = null;
  #watched: { readonly size: number; root: Buffer | null } | null = null;
  #startedMs = 0;
  #ts = { ms: Number.NaN, text: '' };
  /** Bytes of whole entries in the newest segment; what lies behind them is torn. */
  #offset = 0;
  /** How many callers wait for a descriptor to be on the disk. */
  readonly #syncs = new Map<number, number>();
  /** The file has the append-only attribute: it can be neither cut nor marked as closed. */
  #isAppendOnly = false;
  /** The newest segment takes no more entries: its successor was never begun. */
  #isClosed = false;
  /** A write was begun and did not end well. */
  #isTorn = false;

  constructor(path: string, files: FileLayer, clock: () => Date) {
    this.path = path;
    this.#files = files;
    this.#clock = clock;
  }

  get head(): TrailHead {
    return this.#head;
  }

  /** Number of the newest segment; 0 before the first. */
  get segment(): number {
    return this.#number;
  }

  /** Bytes of the newest segment. */
  get segmentBytes(): number {
    return this.#offset;
  }

  /** When the newest segment was begun, in milliseconds since the epoch. */
  get segmentStartedMs(): number {
    return this.#startedMs;
  }

  /** Origin that the newest segment names; null before the first. */
  get origin(): string | null {
    return this.#origin;
  }

  /** Verifier key that the newest segment names. */
  get vkey(): string | null {
    return this.#vkey;
  }

  /** First line of the newest segment, without its line feed. */
  get headerLine(): string {
    return this.#headerLine;
  }

  /** From now on keeps what is sealed for {@link takeSealed}. */
  keepSealed(): void {
    this.#outbox ??= [];
  }

  /** What was sealed since the last time, also by the trail itself. */
  takeSealed(): SealedEntry[] {
    return this.#outbox?.splice(0) ?? [];
  }

  /** Asks for the root of the first `size` entries, which {@link watchedRoot} gives after `follow`. */
  watchSize(size: number): void {
    this.#watched = { size, root: null };
  }

  /** Null when the trail is shorter, or when those entries lie before the newest segment. */
  get watchedRoot(): Buffer | null {
    return this.#watched?.root ?? null;
  }

  /**
   * Brings this writer to the end of the trail: other supervisors may have appended, rotated, or
   * died in the middle of a line.
   *
   * @throws {AuditError} `ENF_AUDIT_OPEN` when the trail is not a continuation of what was seen before
   */
  follow(): FollowResult {
    if (this.#fd === -1) return this.#resume();
    const facts = this.#files.statSync(this.#segmentPath());
    if (facts !== undefined && isSameFile(facts, this.#facts) && this.#isNewest(facts)) {
      return facts.size === this.#offset ? FOLLOWED : this.#catchUp(facts.size);
    }
    return this.#resume();
  }

  /** Appends lines that were sealed in this order with one write(2). */
  appendSync({ line }: Pick<SealedEntry, 'line'>): void {
    this.#isTorn = true;
    writeFully(this.#files, this.#fd, line);
    this.#isTorn = false;
    this.#offset += line.length;
  }

  /** {@link appendSync} that leaves the event loop free while the disk is busy. */
  async append(lines: Buffer): Promise<void> {
    this.#isTorn = true;
    await writeFullyAsync(this.#files, this.#fd, lines);
    this.#isTorn = false;
    this.#offset += lines.length;
  }

  /** Waits until the newest segment is on the disk. A segment is on the disk before the next begins. */
  async sync(): Promise<void> {
    const fd = this.#fd;
    this.#syncs.set(fd, (this.#syncs.get(fd) ?? 0) + 1);
    try {
      await this.#files.fdatasync(fd);
    } finally {
      this.#endSync(fd);
    }
  }

  /** A descriptor that was given up meanwhile is closed now: closing it earlier could hit another file. */
  #endSync(fd: number): void {
    const left = (this.#syncs.get(fd) ?? 1) - 1;
    if (left > 0) this.#syncs.set(fd, left);
    else this.#syncs.delete(fd);
    if (left === 0 && fd !== this.#fd) this.#files.closeSync(fd);
  }

  /** Cuts off what a failed write of this writer left behind, and nothing else. */
  rollBack(): void {
    if (this.#isTorn) this.#files.ftruncateSync(this.#fd, this.#offset);
    this.#isTorn = false;
  }

  /**
   * Seals an entry at the end of the trail.
   *
   * @throws {AuditError} `ENF_AUDIT_ENTRY` when it does not fit the format; the trail is as it was
   */
  seal(entry: TrailEntry): SealedEntry {
    const seq = this.#head.size;
    const ts = this.#timestamp();
    const sealed = this.#head.seal(toBody(entry, { entryId: randomUUID(), seq, ts }));
    this.#outbox?.push(sealed);
    return sealed;
  }

  /** Entries of one millisecond share the text: writing it costs 4 % of an append. */
  #timestamp(): string {
    const ms = this.#clock().getTime();
    if (ms !== this.#ts.ms) this.#ts = { ms, text: new Date(ms).toISOString() };
    return this.#ts.text;
  }

  /**
   * Closes the newest segment and begins the next one.
   *
   * The closed segment is marked before its successor exists: a supervisor that dies in between
   * leaves a trail whose last segment takes no more entries, and the next one begins a new segment.
   */
  async startSegment(facts: SegmentFacts, torn?: TornBytes): Promise<void> {
    if (this.#fd !== -1) {
      await this.#files.fdatasync(this.#fd);
      if (!this.#isAppendOnly) this.#files.fchmodSync(this.#fd, CLOSED_MODE);
      this.close();
    }
    const number = this.#number + 1;
    const header = this.seal({
      type: 'segment',
      segment: number,
      origin: facts.origin,
      vkey: facts.vkey,
      treeSize: this.#head.size,
      frontier: this.#head.frontier.nodes.map((node) => node.toString('base64')),
      ...(facts.keyKept === undefined ? {} : { keyKept: facts.keyKept }),
      ...(torn === undefined ? {} : { torn }),
    });
    await this.#createSegment(number, header);
    this.#headerLine = header.line.toString('utf8', 0, header.line.length - 1);
    this.#adopt(number, facts.origin, facts.vkey, this.#clock().getTime());
    this.#offset = header.line.length;
    this.#isAppendOnly = false;
    this.#isClosed = false;
  }

  close(): void {
    if (this.#fd !== -1 && !this.#syncs.has(this.#fd)) this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.#facts = null;
  }

  #isNewest(facts: FileFacts): boolean {
    if (!this.#isAppendOnly) return isOpen(facts);
    return this.#files.statSync(join(this.path, segmentName(this.#number + 1))) === undefined;
  }

  /** chattr +a forbids changing the mode, even to what it is. */
  #hasFixedMode({ mode }: FileFacts): boolean {
    try {
      this.#files.fchmodSync(this.#fd, mode & MODE_BITS);
      return false;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPERM') return true;
      throw error;
    }
  }

  /** INVARIANT: a segment gets its name only when its header is whole and on the disk. */
  async #createSegment(number: number, header: SealedEntry): Promise<void> {
    const path = join(this.path, segmentName(number));
    const draft = `${path}.tmp`;
    this.#fd = this.#files.openSync(draft, O_RDWR | O_APPEND | O_CREAT | O_EXCL);
    await writeFullyAsync(this.#files, this.#fd, header.line);
    await this.#files.fdatasync(this.#fd);
    this.#files.renameSync(draft, path);
    await syncDirectory(this.#files, this.path);
  }

  /** Starts over from the header of the last segment. */
  #resume(): FollowResult {
    const before = this.#head.size;
    this.close();
    this.#removeDrafts();
    const last = listSegments(this.#files.readdirSync(this.path)).at(-1);
    if (last === undefined) {
      if (before > 0) throw this.#brokenError('all its segments are gone');
      return { needsSegment: true, torn: null };
    }
    if (last.isCompressed)
      throw this.#brokenError(`its last segment \`${last.name}\` is compressed`);
    return this.#openSegment(last.number, before);
  }

  #openSegment(number: number, before: number): FollowResult {
    const path = join(this.path, segmentName(number));
    const facts = this.#files.statSync(path);
    if (facts === undefined || !facts.isFile() || facts.nlink !== 1) {
      throw this.#brokenError(`\`${segmentName(number)}\` is not a regular file with one name`);
    }
    this.#isClosed = !isOpen(facts);
    // A closed one is not ours to write to; its owner, unlike root, could not open it for that.
    this.#fd = this.#files.openSync(path, this.#isClosed ? O_RDONLY : O_RDWR | O_APPEND);
    this.#isAppendOnly = this.#hasFixedMode(facts);
    this.#readHeader(number);
    this.#offset = 0;
    const followed = this.#catchUp(facts.size);
    if (this.#head.size < before)
      throw this.#brokenError(`it has ${this.#head.size} entries, ${before} were seen before`);
    return this.#isClosed ? { ...followed, needsSegment: true } : followed;
  }

  /** UNTRUSTED: the header is believed only as far as the chain and the signed roots confirm it. */
  #readHeader(number: number): void {
    const bytes = Buffer.alloc(LINE_BYTES_MAX);
    const length = this.#files.readSync(this.#fd, bytes, 0);
    const end = bytes.subarray(0, length).indexOf(LINE_FEED);
    this.#headerLine = bytes.toString('utf8', 0, Math.max(end, 0));
    const header = parseSegmentHeader(this.#headerLine);
    if (header === null || header.number !== number) {
      throw this.#brokenError(`\`${segmentName(number)}\` does not begin with its header`);
    }
    this.#head = new TrailHead(header.previousHash, header.frontier);
    this.#noteWatched();
    this.#adopt(number, header.origin, header.vkey, header.startedMs);
  }

  #adopt(number: number, origin: string, vkey: string | null, startedMs: number): void {
    this.#number = number;
    this.#origin = origin;
    this.#vkey = vkey;
    this.#startedMs = startedMs;
    this.#facts = this.#files.fstatSync(this.#fd);
  }

  /** Takes over the lines in [offset, size) and deals with a torn end. */
  #catchUp(size: number): FollowResult {
    if (size < this.#offset) throw this.#brokenError('it became shorter');
    const rest = this.#takeLines(size);
    if (rest.length === 0) return FOLLOWED;
    const isFixed = this.#isAppendOnly || this.#isClosed;
    if (!this.#isClosed && this.#isNextLine(rest)) {
      writeFully(this.#files, this.#fd, Buffer.of(LINE_FEED));
      this.#takeLine(rest);
      return FOLLOWED;
    }
    if (!isFixed) this.#files.ftruncateSync(this.#fd, this.#offset);
    const sha256 = createHash('sha256').update(rest).digest('hex');
    return { needsSegment: isFixed, torn: { bytes: rest.length, sha256 } };
  }

  /** Reads whole lines up to `size`; returns the bytes behind the last line feed. */
  #takeLines(size: number): Buffer {
    let rest: Buffer = Buffer.alloc(0);
    while (this.#offset + rest.length < size) {
      const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, size - this.#offset - rest.length));
      const read = this.#files.readSync(this.#fd, chunk, this.#offset + rest.length);
      if (read === 0) break;
      rest = Buffer.concat([rest, chunk.subarray(0, read)]);
      let start = 0;
      for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED, start)) {
        this.#takeLine(rest.subarray(start, end));
        start = end + 1;
      }
      rest = rest.subarray(start);
      if (rest.length > REST_BYTES_MAX)
        throw this.#brokenError(`over ${REST_BYTES_MAX} bytes behind its last line are no line`);
    }
    return rest;
  }

  #takeLine(line: Buffer): void {
    const entryHash = this.#isNextLine(line) ? splitLine(line, 0, line.length)?.entryHash : null;
    if (!entryHash) throw this.#brokenError(`entry ${this.#head.size} is damaged`);
    this.#head.advance(entryHash);
    this.#offset += line.length + 1;
    this.#noteWatched();
  }

  #noteWatched(): void {
    if (this.#watched?.size === this.#head.size) this.#watched.root = this.#head.frontier.root();
  }

  #isNextLine(line: Buffer): boolean {
    const parts = splitLine(line, 0, line.length);
    if (parts === null || parts.previousHash !== this.#head.headHash) return false;
    const copy = Buffer.concat([Buffer.of(0), line]);
    return hashStoredLine(copy, 1, copy.length) === parts.entryHash;
  }

  /** A segment whose header never became whole does not have its name yet. */
  #removeDrafts(): void {
    for (const name of this.#files.readdirSync(this.path)) {
      if (name.endsWith('.jsonl.tmp')) this.#files.unlinkSync(join(this.path, name));
    }
  }

  #segmentPath(): string {
    return join(this.path, segmentName(this.#number));
  }

  #brokenError(what: string): AuditError {
    return new AuditError(
      'ENF_AUDIT_OPEN',
      `audit trail \`${this.path}\` cannot be continued: ${what}; \`enforcecore verify\` says more`,
      { details: { directory: this.path, segment: this.#number } },
    );
  }
}

/** What is no JSON (a BigInt, a cycle) is the caller's mistake and must not close the trail. */
function toBody(entry: TrailEntry, envelope: Envelope): string {
  try {
    return entryBody(entry, envelope);
  } catch (error) {
    const what = `an audit entry of type \`${entry.type}\` holds what is no JSON`;
    throw new AuditError('ENF_AUDIT_ENTRY', what, { cause: error });
  }
}

const isSameFile = (a: FileFacts, b: FileFacts | null): boolean =>
  b !== null && a.ino === b.ino && a.dev === b.dev;

const isOpen = (facts: FileFacts): boolean => (facts.mode & OWNER_WRITE) !== 0;
