import { hash } from 'node:crypto';
import { AuditError } from '../errors.ts';
import { hasBytes } from './canonical-scan.ts';
import { Frontier } from './merkle-tree.ts';

/** A whole line with its line feed; C2SP tlog-tiles bounds an entry to 16 bits. */
export const LINE_BYTES_MAX = 65_535;
/** `previous_hash` of the first entry of a trail. */
export const GENESIS_HASH: string = '0'.repeat(64);

const HEX_CHARS = 64;
const LINK = ',"previous_hash":"';
const SEAL = ',"entry_hash":"';
/** `,"previous_hash":"` + hash + `"`: stands before the seal, at a fixed distance from the end. */
const LINK_BYTES: number = LINK.length + HEX_CHARS + 1;
/** `,"entry_hash":"` + hash + `"}`: the end of every line, without its line feed. */
export const SEAL_BYTES: number = SEAL.length + HEX_CHARS + 2;
/** What sealing adds to a body, line feed included. */
export const SEALING_BYTES: number = LINK_BYTES + SEAL_BYTES;

const LEAF_PREFIX = 0x00;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const LINK_TEXT = Buffer.from(LINK);
const SEAL_TEXT = Buffer.from(SEAL);
const END_TEXT = Buffer.from('"}');

/** One entry in its final form: the bytes that are stored, and what they hash to. */
export interface SealedEntry {
  readonly seq: number;
  /** RFC 6962 leaf hash, 64 lower-case hex digits. */
  readonly entryHash: string;
  /** The exact line, line feed included. */
  readonly line: Buffer;
}

/** Where a trail stands: what the next entry is chained to, and the tree above it. */
export class TrailHead {
  #headHash: string;
  readonly #frontier: Frontier;

  constructor(headHash: string = GENESIS_HASH, frontier: Frontier = Frontier.empty()) {
    this.#headHash = headHash;
    this.#frontier = frontier;
  }

  /** Entries so far, which is the sequence number of the next one. */
  get size(): number {
    return this.#frontier.size;
  }

  /** `entry_hash` of the last entry, or 64 zeros. */
  get headHash(): string {
    return this.#headHash;
  }

  get frontier(): Frontier {
    return this.#frontier;
  }

  /** Takes over an entry that is in the trail. */
  advance(entryHash: string): void {
    this.#frontier.addHex(entryHash);
    this.#headHash = entryHash;
  }

  /**
   * Makes the line of the next entry and advances to it.
   *
   * @param body - RFC 8785 object text with the sequence number {@link size} in it
   * @throws {AuditError} `ENF_AUDIT_ENTRY` when the line would be longer than {@link LINE_BYTES_MAX}
   */
  seal(body: string): SealedEntry {
    const seq = this.size;
    const sealed = sealLine(seq, body, this.#headHash);
    this.advance(sealed.entryHash);
    return sealed;
  }
}

function sealLine(seq: number, body: string, previousHash: string): SealedEntry {
  const bodyBytes = Buffer.byteLength(body);
  const length = bodyBytes + SEALING_BYTES;
  if (length > LINE_BYTES_MAX) {
    throw new AuditError(
      'ENF_AUDIT_ENTRY',
      `audit entry ${seq}: a line has at most ${LINE_BYTES_MAX} bytes, this one has ${length}`,
    );
  }
  // One buffer holds 0x00 and the line, so that the hashed bytes and the written bytes are the same.
  const bytes = Buffer.allocUnsafe(1 + length);
  bytes[0] = LEAF_PREFIX;
  bytes.write(body, 1);
  const leafEnd = writeHash(bytes, bodyBytes, LINK_TEXT, previousHash);
  const entryHash = hash('sha256', bytes.subarray(0, leafEnd));
  bytes[writeHash(bytes, leafEnd - 1, SEAL_TEXT, entryHash)] = LINE_FEED;
  return { seq, entryHash, line: bytes.subarray(1) };
}

/** Writes `text hash "}` over the closing brace at `at`; returns the offset behind it. */
function writeHash(bytes: Buffer, at: number, text: Buffer, hex: string): number {
  bytes.set(text, at);
  const hexEnd = at + text.length + bytes.write(hex, at + text.length, 'latin1');
  bytes.set(END_TEXT, hexEnd);
  return hexEnd + END_TEXT.length;
}

/**
 * Finds the end of the body in a stored line, without parsing it: link and seal have fixed lengths.
 *
 * @param bytes - UNTRUSTED
 * @param start - of the line
 * @param end - behind its last byte, before the line feed
 * @returns the offset behind the last member of the body; -1 when link or seal are not in their places
 */
export function findBodyEnd(bytes: Buffer, start: number, end: number): number {
  const sealAt = end - SEAL_BYTES;
  const bodyEnd = sealAt - LINK_BYTES;
  const isSealed =
    bodyEnd > start &&
    hasBytes(bytes, bodyEnd, sealAt, LINK_TEXT) &&
    hasBytes(bytes, sealAt, end, SEAL_TEXT) &&
    bytes[sealAt - 1] === QUOTE &&
    bytes[end - 2] === QUOTE &&
    bytes[end - 1] === CLOSE;
  return isSealed ? bodyEnd : -1;
}

/** True when the line that ends at `end` claims to have this hash. */
export function claimsHash(bytes: Buffer, end: number, entryHash: string): boolean {
  return hasText(bytes, end - SEAL_BYTES + SEAL.length, entryHash);
}

/** True when the line whose body ends at `bodyEnd` is chained to this hash. */
export function isLinkedTo(bytes: Buffer, bodyEnd: number, previousHash: string): boolean {
  return hasText(bytes, bodyEnd + LINK.length, previousHash);
}

/** For 64 characters a loop costs half of cutting the text out. */
function hasText(bytes: Buffer, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** A stored line taken apart at its fixed offsets. */
export interface LineParts {
  /** 64 characters, which are hex digits when they equal a hash. */
  readonly entryHash: string;
  /** 64 characters, which are hex digits when they equal a hash. */
  readonly previousHash: string;
  /** Offset behind the last member of the body, where the chain link begins. */
  readonly bodyEnd: number;
}

/** {@link findBodyEnd} with both hashes as text; null when link or seal are not in their places. */
export function splitLine(bytes: Buffer, start: number, end: number): LineParts | null {
  const bodyEnd = findBodyEnd(bytes, start, end);
  if (bodyEnd === -1) return null;
  return {
    entryHash: hexAt(bytes, end - SEAL_BYTES + SEAL.length),
    previousHash: hexAt(bytes, bodyEnd + LINK.length),
    bodyEnd,
  };
}

const hexAt = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, at + HEX_CHARS);

/**
 * Leaf hash of a stored line, computed in place.
 *
 * @param bytes - the byte before `start` and the byte at the seal are overwritten for the moment
 * @param start - of the line; at least 1
 * @param end - behind its last byte, before the line feed
 */
export function hashStoredLine(bytes: Buffer, start: number, end: number): string {
  const sealAt = end - SEAL_BYTES;
  const before = bytes[start - 1] as number;
  bytes[start - 1] = LEAF_PREFIX;
  bytes[sealAt] = CLOSE;
  const entryHash = hash('sha256', bytes.subarray(start - 1, sealAt + 1));
  bytes[start - 1] = before;
  bytes[sealAt] = SEAL_TEXT[0] as number;
  return entryHash;
}
