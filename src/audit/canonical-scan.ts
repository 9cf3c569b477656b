import { isUtf8 } from 'node:buffer';

/** Objects and arrays inside each other, the entry itself included. */
export const ENTRY_DEPTH_MAX = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;
/** Integers of up to 15 digits are exact doubles, and written as they are. */
const EXACT_DIGITS = 15;
/** Escapes of RFC 8785 section 3.2.2.2 other than `\u00xx`: `\" \\ \b \f \n \r \t`. */
const SHORT_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\bfnrt'));
/** Control characters that have a short escape and may not use the long one. */
const SHORT_CONTROLS: ReadonlySet<number> = new Set([8, 9, 10, 12, 13]);
const LITERALS = ['true', 'false', 'null'].map((word) => Buffer.from(word));

/** Where one member of the entry stands: `name` without its quotes, `value` with everything. */
export interface MemberSpan {
  readonly nameStart: number;
  readonly nameEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/**
 * Checks that bytes are the members of one RFC 8785 object, and says where its members are.
 *
 * It reads the bytes once and builds no values, which costs less than `JSON.parse` and, unlike it,
 * sees key order, duplicate keys, white space, escapes and number forms. The object may lack its
 * closing brace: in a sealed line the chain link stands there.
 *
 * @param bytes - UNTRUSTED
 * @param start - of the opening brace
 * @param end - behind the last member
 * @returns the members in order, or null when the bytes are not canonical
 */
export function scanMembers(bytes: Buffer, start: number, end: number): MemberSpan[] | null {
  if (bytes[start] !== OPEN_OBJECT || !isUtf8(bytes.subarray(start, end))) return null;
  const scan: Scan = { bytes, end, at: start + 1 };
  const members: MemberSpan[] = [];
  do {
    const member = scanMember(scan, members.at(-1), 1);
    if (member === null) return null;
    members.push(member);
  } while (take(scan, COMMA));
  return scan.at === end ? members : null;
}

/** One pass over one line; `at` is the only thing that changes. */
interface Scan {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;
}

function take(scan: Scan, byte: number): boolean {
  if (scan.at >= scan.end || scan.bytes[scan.at] !== byte) return false;
  scan.at += 1;
  return true;
}

function scanMember(
  scan: Scan,
  previous: MemberSpan | undefined,
  depth: number,
): MemberSpan | null {
  const nameStart = scan.at + 1;
  if (!scanString(scan)) return null;
  const nameEnd = scan.at - 1;
  if (previous && !isAscending(scan.bytes, previous, nameStart, nameEnd)) return null;
  if (!take(scan, COLON)) return null;
  const valueStart = scan.at;
  return scanValue(scan, depth) ? { nameStart, nameEnd, valueStart, valueEnd: scan.at } : null;
}

/** INVARIANT: recursion is bounded by ENTRY_DEPTH_MAX. */
function scanValue(scan: Scan, depth: number): boolean {
  const first = scan.at < scan.end ? scan.bytes[scan.at] : undefined;
  if (first === QUOTE) return scanString(scan);
  if (first === OPEN_OBJECT) return depth < ENTRY_DEPTH_MAX && scanObject(scan, depth + 1);
  if (first === OPEN_ARRAY) return depth < ENTRY_DEPTH_MAX && scanArray(scan, depth + 1);
  if (first === MINUS || (first !== undefined && first >= ZERO && first <= NINE)) {
    return scanNumber(scan);
  }
  return LITERALS.some((word) => scanLiteral(scan, word));
}

function scanObject(scan: Scan, depth: number): boolean {
  scan.at += 1;
  if (take(scan, CLOSE_OBJECT)) return true;
  let previous: MemberSpan | undefined;
  do {
    const member = scanMember(scan, previous, depth);
    if (member === null) return false;
    previous = member;
  } while (take(scan, COMMA));
  return take(scan, CLOSE_OBJECT);
}

function scanArray(scan: Scan, depth: number): boolean {
  scan.at += 1;
  if (take(scan, CLOSE_ARRAY)) return true;
  do {
    if (!scanValue(scan, depth)) return false;
  } while (take(scan, COMMA));
  return take(scan, CLOSE_ARRAY);
}

function scanString(scan: Scan): boolean {
  const { bytes, end } = scan;
  if (!take(scan, QUOTE)) return false;
  let at = scan.at;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      scan.at = at + 1;
      return true;
    }
    if (byte < SPACE) return false;
    if (byte === BACKSLASH) {
      const length = escapeLength(bytes, at);
      if (length === 0) return false;
      at += length;
    } else at += 1;
  }
  return false;
}

/** Length of a canonical escape at `at`, or 0. */
function escapeLength(bytes: Buffer, at: number): number {
  if (SHORT_ESCAPES.has(bytes[at + 1] ?? 0)) return 2;
  const text = bytes.toString('latin1', at, at + 6);
  if (!/^\\u00[01][0-9a-f]$/.test(text)) return 0;
  return SHORT_CONTROLS.has(Number.parseInt(text.slice(2), 16)) ? 0 : 6;
}

/** RFC 8785 section 3.2.2.3: a number is written as ECMAScript writes it. */
function scanNumber(scan: Scan): boolean {
  const start = scan.at;
  while (scan.at < scan.end && isNumberByte(scan.bytes[scan.at] as number)) scan.at += 1;
  const length = scan.at - start;
  const isPlain = scan.bytes[start] !== MINUS && (scan.bytes[start] !== ZERO || length === 1);
  if (isPlain && length <= EXACT_DIGITS && isDigits(scan.bytes, start, scan.at)) return true;
  const text = scan.bytes.toString('latin1', start, scan.at);
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text;
}

function isNumberByte(byte: number): boolean {
  // 0-9 + - . e E
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === 0x2b ||
    byte === MINUS ||
    byte === 0x2e ||
    byte === 0x65 ||
    byte === 0x45
  );
}

function isDigits(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte < ZERO || byte > NINE) return false;
  }
  return true;
}

function scanLiteral(scan: Scan, word: Buffer): boolean {
  const after = scan.at + word.length;
  if (after > scan.end || word.compare(scan.bytes, scan.at, after) !== 0) return false;
  scan.at = after;
  return true;
}

/** Keys ascend strictly, so a duplicate is out of order too. */
function isAscending(bytes: Buffer, previous: MemberSpan, start: number, end: number): boolean {
  let left = previous.nameStart;
  let right = start;
  for (; left < previous.nameEnd && right < end; left += 1, right += 1) {
    const a = bytes[left] as number;
    const b = bytes[right] as number;
    // Escapes and bytes above ASCII sort by the UTF-16 code units that they stand for.
    if (a >= 0x80 || b >= 0x80 || a === BACKSLASH || b === BACKSLASH) break;
    if (a !== b) return a < b;
  }
  return decodeKey(bytes, previous.nameStart, previous.nameEnd) < decodeKey(bytes, start, end);
}

function decodeKey(bytes: Buffer, start: number, end: number): string {
  return JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string;
}
