import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { EntryCheck, type EntryFacts } from './entry-check.ts';
import { EntryIds } from './entry-ids.ts';
import type { Line, ReadResult } from './line-reader.ts';
import { Frontier } from './merkle-tree.ts';
import type { Findings } from './problem.ts';
import type { RootWatch } from './root-watch.ts';
import {
  claimsHash,
  findBodyEnd,
  GENESIS_HASH,
  hashStoredLine,
  isLinkedTo,
  splitLine,
} from './sealed-line.ts';
import type { SegmentFile } from './segment-files.ts';
import { parseSegmentHeader, type SegmentHeader } from './segment-header.ts';

/** A segment header that was met, for checking that its key was handed over. */
export interface HeaderFact {
  readonly seq: number;
  readonly vkey: string | null;
  readonly segment: string | null;
}

/** A retention entry: all segments before `firstKept` were removed on purpose. */
export interface RetentionFact {
  readonly seq: number;
  readonly firstKept: number;
}

const BYTE_ORDER_MARK = '\xef\xbb\xbf';
const CARRIAGE_RETURN = 0x0d;

/** Follows the chain and the tree through the lines of a trail. */
export class ChainVerifier {
  readonly headers: HeaderFact[] = [];
  readonly retentions: RetentionFact[] = [];
  readonly #findings: Findings;
  readonly #watch: RootWatch;
  readonly #check: EntryCheck;
  readonly #ids = new EntryIds();
  #tree: Frontier = Frontier.empty();
  #firstSegment: number | null = null;
  #firstSeq = 0;
  #headHash = GENESIS_HASH;
  /** What the line before claimed to hash to, where that was wrong. */
  #claimedHash: string | null = null;
  #seq = 0;
  #ts = '';
  #origin: string | null = null;
  #segment: SegmentFile | null = null;
  #isLast = false;
  /** What comes before the next header is not known: it is the first, or segments are missing. */
  #isGap = true;
  #hasHeader = false;
  #isUtf8 = true;
  /** Bytes behind the last line of the segment before; its successor may account for them. */
  #torn: {
    readonly bytes: number;
    readonly sha256: string;
    readonly segment: string | null;
  } | null = null;

  constructor(findings: Findings, watch: RootWatch) {
    this.#findings = findings;
    this.#check = new EntryCheck(findings);
    this.#watch = watch;
  }

  /** Entries of the whole trail, those in segments that were removed included. */
  get entries(): number {
    return this.#tree.size;
  }

  /** Sequence number of the first entry that is there. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** Number of the first segment that is there; null when there is none. */
  get firstSegment(): number | null {
    return this.#firstSegment;
  }

  /** Origin that the first header names. */
  get origin(): string | null {
    return this.#origin;
  }

  get rootHash(): string | null {
    return this.entries === 0 ? null : this.#tree.root().toString('hex');
  }

  get headHash(): string | null {
    return this.entries === 0 ? null : this.#headHash;
  }

  skipDuplicate(segment: SegmentFile): void {
    this.#at(segment.name, null);
    this.#findings.warn('duplicate_segment', 'the plain file of this segment was verified instead');
  }

  beginSegment(segment: SegmentFile, isLast: boolean): void {
    const before = this.#segment?.number;
    this.#at(segment.name, null);
    if (before !== undefined && segment.number > before + 1) {
      const missing = `segments ${before + 1} to ${segment.number - 1} are missing`;
      this.#findings.problem('missing_segment', missing);
      this.#isGap = true;
    }
    this.#firstSegment ??= segment.number;
    this.#segment = segment;
    this.#isLast = isLast;
    this.#hasHeader = false;
  }

  endSegment(result: ReadResult): void {
    this.#at(this.#segment?.name ?? null, null);
    if (!result.ok) {
      const kind = result.reason === 'missing' ? 'missing_segment' : result.reason;
      this.#findings.problem(kind, result.message);
      this.#isGap = true;
    } else if (!this.#hasHeader) {
      this.#findings.problem('segment_header_missing', 'the segment has no header');
      this.#settleTorn(undefined);
    }
  }

  /** Takes the lines of a batch, which share a buffer. */
  visit(lines: readonly Line[]): void {
    const [first] = lines;
    const last = lines.at(-1);
    if (first === undefined || last === undefined) return;
    // One check for all of them costs less than one for each.
    this.#isUtf8 = isUtf8(first.bytes.subarray(first.start, last.end));
    for (const line of lines) this.#visit(line);
  }

  #visit(line: Line): void {
    this.#at(this.#segment?.name ?? null, line.number);
    if (!line.isWhole) {
      this.#visitTorn(line);
      return;
    }
    const range = this.#trim(line);
    if (range !== null) this.#visitLine(line.bytes, range.start, range.end);
  }

  /** Sorts out lines that are no entries. */
  #trim({ bytes, start, end, number, isTooLong }: Line): { start: number; end: number } | null {
    const range = { start, end };
    if (number === 1 && bytes.toString('latin1', start, start + 3) === BYTE_ORDER_MARK) {
      this.#findings.problem('bom', 'the file begins with a byte order mark');
      range.start += BYTE_ORDER_MARK.length;
    }
    if (bytes[end - 1] === CARRIAGE_RETURN && end > range.start) {
      this.#findings.problem('crlf', 'the line ends with a carriage return');
      range.end -= 1;
    }
    if (isTooLong) this.#findings.problem('line_too_long', 'the line is longer than 65,535 bytes');
    else if (range.end <= range.start) this.#findings.problem('blank_line', 'the line is empty');
    else return range;
    return null;
  }

  #visitTorn({ bytes, start, end }: Line): void {
    const torn = bytes.subarray(start, end);
    if (this.#isLast) {
      this.#findings.problem('torn_tail', `${torn.length} bytes behind the last line are no line`);
      return;
    }
    const sha256 = createHash('sha256').update(torn).digest('hex');
    this.#torn = { bytes: torn.length, sha256, segment: this.#segment?.name ?? null };
  }

  #visitLine(bytes: Buffer, start: number, end: number): void {
    const bodyEnd = findBodyEnd(bytes, start, end);
    if (bodyEnd === -1) {
      this.#findings.problem('malformed_line', 'the line lacks its chain link and hash');
      return;
    }
    const entryHash = hashStoredLine(bytes, start, end);
    if (!this.#hasHeader) this.#visitFirst(bytes.toString('utf8', start, end));
    this.#checkLink(bytes, bodyEnd);
    this.#checkBody(bytes, start, bodyEnd);
    this.#claimedHash = null;
    if (!claimsHash(bytes, end, entryHash)) {
      this.#findings.problem('hash_mismatch', `hashes to ${entryHash}, not to its \`entry_hash\``);
      this.#claimedHash = splitLine(bytes, start, end)?.entryHash ?? null;
    }
    this.#headHash = entryHash;
    this.#tree.addHex(entryHash);
    this.#watch.note(this.#tree);
  }

  #checkLink(bytes: Buffer, bodyEnd: number): void {
    if (isLinkedTo(bytes, bodyEnd, this.#headHash)) return;
    if (this.#claimedHash !== null && isLinkedTo(bytes, bodyEnd, this.#claimedHash)) return;
    this.#findings.problem('chain_broken', '`previous_hash` is not the hash of the line before');
  }

  #checkBody(bytes: Buffer, start: number, bodyEnd: number): void {
    const facts = this.#readBody(bytes, start, bodyEnd);
    const expected = this.#seq;
    this.#seq += 1;
    if (facts === null) return;
    if (facts.seq !== expected) {
      this.#findings.problem('seq_mismatch', `\`seq\` is ${facts.seq}, expected ${expected}`);
      if (Number.isSafeInteger(facts.seq)) this.#seq = facts.seq + 1;
    }
    if (facts.ts < this.#ts) {
      this.#findings.warn('clock_backwards', 'the entry is older than the one before');
    }
    this.#ts = facts.ts;
    if (!this.#ids.add(bytes, facts.entryIdStart)) {
      this.#findings.problem('duplicate_entry_id', '`entry_id` was used before');
    }
    if (facts.type === 'retention') this.#visitRetention(bytes.toString('utf8', start, bodyEnd));
  }

  #readBody(bytes: Buffer, start: number, bodyEnd: number): EntryFacts | null {
    if (this.#isUtf8 || isUtf8(bytes.subarray(start, bodyEnd))) {
      return this.#check.check(bytes, start, bodyEnd);
    }
    this.#findings.problem('invalid_utf8', 'the line is not UTF-8');
    return null;
  }

  #visitRetention(body: string): void {
    const { first_kept: firstKept } = JSON.parse(`${body}}`) as { first_kept?: unknown };
    if (typeof firstKept === 'number') this.retentions.push({ seq: this.entries, firstKept });
  }

  #visitFirst(text: string): void {
    this.#hasHeader = true;
    const header = parseSegmentHeader(text);
    if (header === null) {
      this.#findings.problem('segment_header_missing', 'the first line is no segment header');
      this.#settleTorn(undefined);
      return;
    }
    const named = this.#segment?.number ?? 0;
    if (named !== 0 && header.number !== named) {
      const message = `the header says that this is segment ${header.number}`;
      this.#findings.problem('segment_number_mismatch', message);
    }
    this.#origin ??= header.origin;
    if (header.origin !== this.#origin) {
      this.#findings.problem('origin_mismatch', 'the header names another trail');
    }
    this.#settleTorn(header.torn);
    if (this.#isGap) this.#startAt(header);
    else this.#checkFrontier(header);
    this.headers.push({
      seq: this.entries,
      vkey: header.vkey,
      segment: this.#segment?.name ?? null,
    });
  }

  /** Any suffix of the segments verifies alone: a signed root cannot be reached from a forged start. */
  #startAt(header: SegmentHeader): void {
    this.#isGap = false;
    if (this.headers.length === 0) this.#firstSeq = header.frontier.size;
    this.#tree = header.frontier.clone();
    this.#watch.note(this.#tree);
    this.#seq = header.frontier.size;
    this.#headHash = header.previousHash;
    this.#claimedHash = null;
  }

  #checkFrontier({ frontier }: SegmentHeader): void {
    const isSame =
      frontier.size === this.#tree.size &&
      frontier.nodes.every((node, index) => this.#tree.nodes[index]?.equals(node));
    if (!isSame)
      this.#findings.problem('frontier_mismatch', 'the header does not fit the tree so far');
  }

  /** Bytes that could not be cut off are recorded in the header of the next segment. */
  #settleTorn(recorded: SegmentHeader['torn']): void {
    const torn = this.#torn;
    this.#torn = null;
    if (torn === null) return;
    const isRecorded = recorded?.bytes === torn.bytes && recorded.sha256 === torn.sha256;
    this.#at(torn.segment, null);
    const message = `${torn.bytes} bytes behind the last line are no line`;
    if (isRecorded) this.#findings.warn('torn_bytes_kept', `${message}, as the next segment says`);
    else this.#findings.problem('torn_middle_segment', message);
    this.#at(this.#segment?.name ?? null, 1);
  }

  #at(segment: string | null, line: number | null): void {
    this.#findings.segment = segment;
    this.#findings.line = line;
  }
}
