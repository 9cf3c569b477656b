import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { checkEntry } from './entry-check.ts';
import { EntryIds } from './entry-ids.ts';
import { type Line, type ReadResult, readLines } from './line-reader.ts';
import { Frontier } from './merkle-tree.ts';
import { Findings, type Problem, type Warning } from './problem.ts';
import { GENESIS_HASH, hashStoredLine, splitLine } from './sealed-line.ts';
import { listSegments, parseSegmentName, type SegmentFile } from './segment-files.ts';
import { parseSegmentHeader, type SegmentHeader } from './segment-header.ts';

/** How a trail is verified. */
export interface VerifyOptions {
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
}

/** What a verifier found. */
export interface VerifyReport {
  /** True exactly when `exitCode` is 0. */
  readonly ok: boolean;
  /** 0 intact · 1 tampered with · 2 wrong usage, or the trail cannot be read · 3 incomplete or weaker than required. */
  readonly exitCode: 0 | 1 | 2 | 3;
  /** What the answer rests on: the chain alone, a checkpoint by the given key, or one kept outside. */
  readonly level: 'chain' | 'signed' | 'anchored';
  readonly entries: number;
  /** Entries behind the last checkpoint: whoever can write the files could have replaced them. */
  readonly unsigned: number;
  /** RFC 6962 root over all entries, 64 hex digits; null for a trail without entries. */
  readonly rootHash: string | null;
  readonly headHash: string | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

/**
 * Verifies a trail directory, or one segment file of it.
 *
 * It reads the trail once, in memory that does not grow with it, lists every problem, and never
 * throws for what it finds on the disk.
 *
 * @param path - UNTRUSTED directory or file
 */
export async function verifyTrail(
  path: string,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings = new Findings();
  const place = await locate(path, findings);
  const verifier = new ChainVerifier(findings, place?.before ?? 0);
  if (place !== null) await readSegments(place, verifier, options);
  return makeReport(verifier, findings);
}

interface Place {
  readonly directory: string;
  readonly segments: readonly SegmentFile[];
  readonly totalBytes: number;
  /** Number of the segment before the first; 0 for a whole trail. */
  readonly before: number;
}

async function locate(path: string, findings: Findings): Promise<Place | null> {
  try {
    const facts = await stat(path);
    const directory = facts.isDirectory() ? path : dirname(path);
    const names = facts.isDirectory() ? await readdir(path) : [basename(path)];
    const segments = facts.isDirectory() ? listSegments(names) : [oneSegment(basename(path))];
    if (facts.isDirectory() && (facts.mode & 0o022) !== 0) {
      findings.warn('writable_by_others', 'others may write the directory of the trail');
    }
    if (segments.length === 0)
      findings.problem('no_segments', 'the directory has no segment files');
    const before = facts.isDirectory() ? 0 : (segments[0]?.number ?? 1) - 1;
    return { directory, segments, before, totalBytes: await totalSize(directory, segments) };
  } catch (error) {
    findings.problem('unreadable', `cannot be read: ${(error as Error).message}`);
    return null;
  }
}

function oneSegment(name: string): SegmentFile {
  return parseSegmentName(name) ?? { number: 0, name, isCompressed: name.endsWith('.gz') };
}

async function totalSize(directory: string, segments: readonly SegmentFile[]): Promise<number> {
  let total = 0;
  for (const { name } of segments) {
    const facts = await stat(join(directory, name)).catch(() => null); // reported when it is read
    total += facts?.size ?? 0;
  }
  return total;
}

async function readSegments(
  { directory, segments, totalBytes }: Place,
  verifier: ChainVerifier,
  { onProgress }: VerifyOptions,
): Promise<void> {
  let before = 0;
  for (const [index, segment] of segments.entries()) {
    if (segments[index - 1]?.number === segment.number) {
      verifier.skipDuplicate(segment);
      continue;
    }
    let bytes = 0;
    verifier.beginSegment(segment, index === segments.length - 1);
    const result = await readLines(
      join(directory, segment.name),
      segment.isCompressed,
      (line) => verifier.visit(line),
      (read) => {
        bytes = read;
        onProgress?.({ bytes: before + read, totalBytes });
      },
    );
    verifier.endSegment(result);
    before += bytes;
  }
}

/** Follows the chain and the tree through the lines of a trail. */
class ChainVerifier {
  readonly #findings: Findings;
  readonly #ids = new EntryIds();
  #frontier: Frontier = Frontier.empty();
  #entries = 0;
  #headHash = GENESIS_HASH;
  /** What the line before claimed to hash to, where that was wrong. */
  #claimedHash: string | null = null;
  #seq = 0;
  #ts = '';
  #origin: string | null = null;
  #segment: SegmentFile | null = null;
  #number: number;
  #isLast = false;
  /** What comes before the next header is not known: it is the first, or segments are missing. */
  #isGap = true;
  #hasHeader = false;

  /** @param before - number of the segment before the first one that is to be verified */
  constructor(findings: Findings, before: number) {
    this.#findings = findings;
    this.#number = before;
  }

  get entries(): number {
    return this.#entries;
  }

  get rootHash(): string | null {
    return this.#entries === 0 ? null : this.#frontier.root().toString('hex');
  }

  get headHash(): string | null {
    return this.#entries === 0 ? null : this.#headHash;
  }

  skipDuplicate(segment: SegmentFile): void {
    this.#at(segment.name, null);
    this.#findings.warn('duplicate_segment', 'the plain file of this segment was verified instead');
  }

  beginSegment(segment: SegmentFile, isLast: boolean): void {
    this.#at(segment.name, null);
    const expected = this.#number + 1;
    if (segment.number > expected && segment.number > 0) {
      this.#findings.problem(
        'missing_segment',
        `segments ${expected} to ${segment.number - 1} are missing`,
      );
      this.#isGap = true;
    }
    this.#segment = segment;
    this.#number = segment.number;
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
    }
  }

  visit(line: Line): void {
    this.#at(this.#segment?.name ?? null, line.number);
    const range = this.#trim(line);
    if (range !== null) this.#visitLine(line.bytes, range.start, range.end);
  }

  /** Sorts out lines that are no entries. */
  #trim(line: Line): { readonly start: number; readonly end: number } | null {
    const { bytes, isWhole, isTooLong } = line;
    let { start, end } = line;
    if (!isWhole) return this.#visitTorn(end - start);
    if (line.number === 1 && bytes.toString('latin1', start, start + 3) === '\xef\xbb\xbf') {
      this.#findings.problem('bom', 'the file begins with a byte order mark');
      start += 3;
    }
    if (bytes[end - 1] === 0x0d && end > start) {
      this.#findings.problem('crlf', 'the line ends with a carriage return');
      end -= 1;
    }
    if (isTooLong) this.#findings.problem('line_too_long', 'the line is longer than 65,535 bytes');
    else if (end === start) this.#findings.problem('blank_line', 'the line is empty');
    else return { start, end };
    return null;
  }

  #visitTorn(bytes: number): null {
    if (this.#isLast)
      this.#findings.problem('torn_tail', `${bytes} bytes behind the last line are no whole line`);
    else
      this.#findings.problem(
        'torn_middle_segment',
        `${bytes} bytes behind the last line are no whole line`,
      );
    return null;
  }

  #visitLine(bytes: Buffer, start: number, end: number): void {
    const parts = splitLine(bytes, start, end);
    if (parts === null) {
      this.#findings.problem('malformed_line', 'the line lacks its chain link and hash');
      return;
    }
    const entryHash = hashStoredLine(bytes, start, end);
    if (!this.#hasHeader) this.#visitHeader(bytes.toString('utf8', start, end));
    this.#checkLink(parts.previousHash);
    if (entryHash !== parts.entryHash) {
      this.#findings.problem('hash_mismatch', `hashes to ${entryHash}, not to its \`entry_hash\``);
    }
    this.#checkBody(bytes, start, parts.bodyEnd);
    this.#claimedHash = entryHash === parts.entryHash ? null : parts.entryHash;
    this.#headHash = entryHash;
    this.#frontier.add(Buffer.from(entryHash, 'hex'));
    this.#entries += 1;
  }

  #checkLink(previousHash: string): void {
    if (previousHash === this.#headHash || previousHash === this.#claimedHash) return;
    this.#findings.problem('chain_broken', '`previous_hash` is not the hash of the line before');
  }

  #checkBody(bytes: Buffer, start: number, bodyEnd: number): void {
    const facts = checkEntry(bytes, start, bodyEnd, this.#findings);
    const expected = this.#seq;
    this.#seq += 1;
    if (facts === null) return;
    if (facts.seq !== expected) {
      this.#findings.problem('seq_mismatch', `\`seq\` is ${facts.seq}, expected ${expected}`);
      if (Number.isSafeInteger(facts.seq)) this.#seq = facts.seq + 1;
    }
    if (facts.ts < this.#ts)
      this.#findings.warn('clock_backwards', 'the entry is older than the one before');
    this.#ts = facts.ts;
    if (!this.#ids.add(bytes, facts.entryIdStart)) {
      this.#findings.problem('duplicate_entry_id', '`entry_id` was used before');
    }
  }

  #visitHeader(text: string): void {
    this.#hasHeader = true;
    const header = parseSegmentHeader(text);
    if (header === null) {
      this.#findings.problem('segment_header_missing', 'the first line is no segment header');
      return;
    }
    const named = this.#segment?.number ?? 0;
    if (named !== 0 && header.number !== named) {
      this.#findings.problem('segment_number_mismatch', `the header says segment ${header.number}`);
    }
    if (this.#origin !== null && header.origin !== this.#origin) {
      this.#findings.problem('origin_mismatch', 'the header names another trail');
    }
    this.#origin ??= header.origin;
    if (this.#isGap) this.#startAt(header);
    else this.#checkFrontier(header);
  }

  /** Any suffix of the segments verifies alone: a signed root cannot be reached from a forged start. */
  #startAt(header: SegmentHeader): void {
    this.#isGap = false;
    this.#frontier = header.frontier.clone();
    this.#entries = header.frontier.size;
    this.#seq = header.frontier.size;
    this.#headHash = header.previousHash;
    this.#claimedHash = null;
  }

  #checkFrontier({ frontier }: SegmentHeader): void {
    const same =
      frontier.size === this.#frontier.size &&
      frontier.nodes.every((node, index) => this.#frontier.nodes[index]?.equals(node));
    if (!same)
      this.#findings.problem('frontier_mismatch', 'the header does not fit the tree so far');
  }

  #at(segment: string | null, line: number | null): void {
    this.#findings.segment = segment;
    this.#findings.line = line;
  }
}

function makeReport(verifier: ChainVerifier, findings: Findings): VerifyReport {
  const exitCode = exitCodeOf(findings.problems);
  return {
    ok: exitCode === 0,
    exitCode,
    level: 'chain',
    entries: verifier.entries,
    unsigned: verifier.entries,
    rootHash: verifier.rootHash,
    headHash: verifier.headHash,
    problems: findings.problems,
    warnings: findings.warnings,
  };
}

function exitCodeOf(problems: readonly Problem[]): 0 | 1 | 2 | 3 {
  if (problems.some(({ kind }) => kind === 'usage' || kind === 'unreadable')) return 2;
  if (problems.some(({ kind }) => kind !== 'torn_tail')) return 1;
  return problems.length > 0 ? 3 : 0;
}
