/** Objects and arrays inside each other, the entry itself included. */
export const ENTRY_DEPTH_MAX = 32;
/** Members of an entry; every entry type has fewer. */
const MEMBERS_MAX = 64;

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
const FIRST_NON_ASCII = 0x80;
/** Integers of up to 15 digits are exact doubles, and written as they are. */
const EXACT_DIGITS = 15;
/** 1 for bytes that stand for themselves in a string. */
const IS_VERBATIM: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH),
);
/** Escapes of RFC 8785 section 3.2.2.2 other than `\u00xx`: `\" \\ \b \f \n \r \t`. */
const SHORT_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\bfnrt'));
/** Control characters that have a short escape and may not use the long one. */
const SHORT_CONTROLS: ReadonlySet<number> = new Set([8, 9, 10, 12, 13]);
const LONG_ESCAPE = /^\\u00[01][0-9a-f]$/;
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');
/** What a scan returns instead of the offset behind what it scanned. */
const FAILED = -1;

/** Where the members of an entry stand, four offsets each; filled by {@link scanMembers}. */
export class MemberSpans {
  readonly #offsets = new Int32Array(4 * MEMBERS_MAX);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  /** @returns false when there is no room */
  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    if (this.#count === MEMBERS_MAX) return false;
    const at = 4 * this.#count;
    this.#offsets[at] = nameStart;
    this.#offsets[at + 1] = nameEnd;
    this.#offsets[at + 2] = valueStart;
    this.#offsets[at + 3] = valueEnd;
    this.#count += 1;
    return true;
  }

  /** Behind the opening quote of the name. */
  nameStart(index: number): number {
    return this.#offsets[4 * index] as number;
  }

  /** At the closing quote of the name. */
  nameEnd(index: number): number {
    return this.#offsets[4 * index + 1] as number;
  }

  valueStart(index: number): number {
    return this.#offsets[4 * index + 2] as number;
  }

  valueEnd(index: number): number {
    return this.#offsets[4 * index + 3] as number;
  }
}

/**
 * Checks that bytes are the members of one RFC 8785 object, and finds them.
 *
 * It reads the bytes once and builds no values, which costs less than `JSON.parse` and, unlike it,
 * sees key order, duplicate keys, white space, escapes and number forms. The object has no closing
 * brace: in a sealed line the chain link stands there.
 *
 * @param bytes - UNTRUSTED, but checked to be UTF-8
 * @param start - of the opening brace
 * @param end - behind the last member
 * @param spans - gets the members
 * @returns false when the bytes are not canonical, or have more than {@link MEMBERS_MAX} members
 */
export function scanMembers(
  bytes: Buffer,
  start: number,
  end: number,
  spans: MemberSpans,
): boolean {
  spans.clear();
  if (bytes[start] !== OPEN_OBJECT) return false;
  const at = scanMemberList(bytes, start + 1, end, 1, spans);
  return at === end;
}

/** Members, separated by commas, with ascending names; returns the offset behind the last. */
function scanMemberList(
  bytes: Buffer,
  start: number,
  end: number,
  depth: number,
  spans: MemberSpans | null,
): number {
  let previousStart = FAILED;
  let previousEnd = FAILED;
  for (let at = start; ; at += 1) {
    const nameStart = at + 1;
    at = scanString(bytes, at, end);
    if (at === FAILED || at >= end || bytes[at] !== COLON) return FAILED;
    const nameEnd = at - 1;
    const isOrdered =
      previousStart === FAILED ||
      isAscending(bytes, previousStart, previousEnd, nameStart, nameEnd);
    if (!isOrdered) return FAILED;
    const valueStart = at + 1;
    at = scanValue(bytes, valueStart, end, depth);
    if (at === FAILED) return FAILED;
    if (spans !== null && !spans.add(nameStart, nameEnd, valueStart, at)) return FAILED;
    if (at >= end || bytes[at] !== COMMA) return at;
    previousStart = nameStart;
    previousEnd = nameEnd;
  }
}

/** INVARIANT: recursion is bounded by ENTRY_DEPTH_MAX. */
function scanValue(bytes: Buffer, at: number, end: number, depth: number): number {
  if (at >= end) return FAILED;
  const first = bytes[at] as number;
  if (first === QUOTE) return scanString(bytes, at, end);
  if (first === MINUS || (first >= ZERO && first <= NINE)) return scanNumber(bytes, at, end);
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
    if (depth >= ENTRY_DEPTH_MAX) return FAILED;
    return first === OPEN_OBJECT
      ? scanObject(bytes, at, end, depth + 1)
      : scanArray(bytes, at, end, depth + 1);
  }
  if (hasBytes(bytes, at, end, TRUE)) return at + TRUE.length;
  if (hasBytes(bytes, at, end, FALSE)) return at + FALSE.length;
  return hasBytes(bytes, at, end, NULL) ? at + NULL.length : FAILED;
}

function scanObject(bytes: Buffer, start: number, end: number, depth: number): number {
  if (start + 1 < end && bytes[start + 1] === CLOSE_OBJECT) return start + 2;
  const at = scanMemberList(bytes, start + 1, end, depth, null);
  return at !== FAILED && at < end && bytes[at] === CLOSE_OBJECT ? at + 1 : FAILED;
}

function scanArray(bytes: Buffer, start: number, end: number, depth: number): number {
  if (start + 1 < end && bytes[start + 1] === CLOSE_ARRAY) return start + 2;
  for (let at = start + 1; ; at += 1) {
    at = scanValue(bytes, at, end, depth);
    if (at === FAILED || at >= end) return FAILED;
    if (bytes[at] === CLOSE_ARRAY) return at + 1;
    if (bytes[at] !== COMMA) return FAILED;
  }
}

function scanString(bytes: Buffer, start: number, end: number): number {
  if (start >= end || bytes[start] !== QUOTE) return FAILED;
  for (let at = start + 1; ; ) {
    // A lookup and one comparison for each byte; behind the last byte of a buffer it finds nothing.
    while (IS_VERBATIM[bytes[at] as number] === 1) at += 1;
    if (at >= end) return FAILED;
    if (bytes[at] === QUOTE) return at + 1;
    const length = bytes[at] === BACKSLASH ? escapeLength(bytes, at) : 0;
    if (length === 0) return FAILED;
    at += length;
  }
}

/** Length of a canonical escape at `at`, or 0. */
function escapeLength(bytes: Buffer, at: number): number {
  if (SHORT_ESCAPES.has(bytes[at + 1] ?? 0)) return 2;
  const text = bytes.toString('latin1', at, at + 6);
  if (!LONG_ESCAPE.test(text)) return 0;
  return SHORT_CONTROLS.has(Number.parseInt(text.slice(2), 16)) ? 0 : 6;
}

/** RFC 8785 section 3.2.2.3: a number is written as ECMAScript writes it. */
function scanNumber(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let isDigits = true;
  for (; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte >= ZERO && byte <= NINE) continue;
    if (!isNumberSign(byte)) break;
    isDigits = false;
  }
  const length = at - start;
  if (isDigits && length <= EXACT_DIGITS && (bytes[start] !== ZERO || length === 1)) return at;
  const text = bytes.toString('latin1', start, at);
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text ? at : FAILED;
}

/** `+ - . e E` */
const isNumberSign = (byte: number): boolean =>
  byte === 0x2b || byte === MINUS || byte === 0x2e || byte === 0x65 || byte === 0x45;

/**
 * True when `word` stands at `at`. A loop: for a few bytes `Buffer.compare` costs three times more.
 */
export function hasBytes(bytes: Buffer, at: number, end: number, word: Buffer): boolean {
  if (at + word.length > end) return false;
  for (let index = 0; index < word.length; index += 1) {
    if (bytes[at + index] !== word[index]) return false;
  }
  return true;
}

/** Names ascend strictly, so a duplicate is out of order too. */
function isAscending(
  bytes: Buffer,
  leftStart: number,
  leftEnd: number,
  rightStart: number,
  rightEnd: number,
): boolean {
  const length = Math.min(leftEnd - leftStart, rightEnd - rightStart);
  for (let index = 0; index < length; index += 1) {
    const left = bytes[leftStart + index] as number;
    const right = bytes[rightStart + index] as number;
    if (!isPlain(left) || !isPlain(right)) {
      return decodeName(bytes, leftStart, leftEnd) < decodeName(bytes, rightStart, rightEnd);
    }
    if (left !== right) return left < right;
  }
  return leftEnd - leftStart < rightEnd - rightStart;
}

/** Escapes and what is not ASCII sort by the UTF-16 code units that they stand for. */
const isPlain = (byte: number): boolean => byte < FIRST_NON_ASCII && byte !== BACKSLASH;

function decodeName(bytes: Buffer, start: number, end: number): string {
  return JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string;
}
