import type { Finding } from '../finding.ts';

/** Shortest run that can hide something: `a@b.com` has ten base64 characters, a token more. */
const BASE64_MIN = 16;
const HEX_MIN = 18;
/** Shorter lines are words and names below each other. */
const LINE_MIN = 20;
/** Longer than any value that is worth a second look, when encoded. */
const LINES_MAX = 240;
/** Longer runs are decoded in pieces of this length, a multiple of four. */
const PIECE_MAX = 32 * 1024;
/** What is decoded to see whether it is text at all. */
const PROBE = 32;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const URL_ALPHABET = `${ALPHABET.slice(0, 62)}-_`;
const IN_BASE64: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z\d+/_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Value of each base64 and base64url character. */
const SEXTETS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return Math.max(0, ALPHABET.indexOf(character), URL_ALPHABET.indexOf(character));
});

/** Finds in a text what a scan of one decoded piece finds; empty when nothing. */
export type ScanDecoded = (text: string) => readonly Finding[];

/**
 * Looks into runs of base64 and hexadecimal that decode to text. A run with a finding is reported
 * whole, as its first finding's category: with a hole it would decode to something else.
 */
export function findInBlobs(text: string, scan: ScanDecoded, found: Finding[]): void {
  for (let start = nextRun(text, 0); start >= 0; ) {
    const end = runEnd(text, start + BASE64_MIN);
    scanRun(text, start, end, scan, found);
    const linesEnd = endOfLines(text, start, end);
    if (linesEnd > end) scanRun(text, start, linesEnd, scan, found);
    start = nextRun(text, end + 1);
  }
}

/**
 * Start of the next run of at least `BASE64_MIN` characters, or -1. Looks at the far end first and
 * skips what a character of another kind rules out: most of a text is never looked at.
 */
function nextRun(text: string, from: number): number {
  let start = from;
  while (start + BASE64_MIN <= text.length) {
    let at = start + BASE64_MIN - 1;
    while (at >= start && isInBase64(text.charCodeAt(at))) at -= 1;
    if (at < start) return start;
    start = at + 1;
  }
  return -1;
}

function runEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && isInBase64(text.charCodeAt(at))) at += 1;
  return at;
}

/**
 * The end of the lines that go on from a line of base64, as in mail (RFC 2045 section 6.8): of the
 * same length, and a last one that is shorter. Only as far as one value can reach, so that what is
 * found depends on no text further away.
 */
function endOfLines(text: string, start: number, lineEnd: number): number {
  const length = lineEnd - start;
  if (length < LINE_MIN || length % 4 !== 0) return lineEnd;
  let end = lineEnd;
  for (let next = nextLine(text, end); next > 0 && end - start < LINES_MAX; ) {
    const lineLength = runEnd(text, next) - next;
    if (lineLength > length) break;
    end = next + lineLength;
    next = lineLength < length ? 0 : nextLine(text, end);
  }
  return end;
}

/** Where the next line starts when a line break stands at a position, else 0. */
function nextLine(text: string, at: number): number {
  if (text.charCodeAt(at) === 10) return at + 1;
  return text.startsWith('\r\n', at) ? at + 2 : 0;
}

function isInBase64(code: number): boolean {
  return code < 128 && IN_BASE64[code] === 1;
}

function scanRun(
  text: string,
  from: number,
  to: number,
  scan: ScanDecoded,
  found: Finding[],
): void {
  for (let start = from; start < to; start += PIECE_MAX) {
    const end = Math.min(to, start + PIECE_MAX);
    const decoded = decodeRun(text.slice(start, end).replace(/^0x|[\r\n]+/g, ''));
    const category = decoded === null ? undefined : scan(decoded)[0]?.category;
    if (category !== undefined) found.push({ category, start, end: paddingEnd(text, end) });
  }
}

function paddingEnd(text: string, end: number): number {
  let at = end;
  while (at < end + 2 && text.charCodeAt(at) === 61) at += 1;
  return at;
}

/** The text that a run encodes, or null when it encodes none. */
function decodeRun(run: string): string | null {
  const isHex = run.length >= HEX_MIN && run.length % 2 === 0 && /^[\da-f]+$/i.test(run);
  return (isHex ? decoded(run, 'hex') : null) ?? decoded(run, 'base64');
}

function decoded(run: string, encoding: 'hex' | 'base64'): string | null {
  if (encoding === 'base64' && startsWithControl(run)) return null;
  if (!isText(Buffer.from(run.slice(0, PROBE), encoding))) return null;
  const bytes = Buffer.from(run, encoding);
  const isWide = bytes.length > 3 && bytes[1] === 0 && bytes[3] === 0;
  return bytes.toString(isWide ? 'utf16le' : 'utf8');
}

/** A control byte among the first nine: what most names and hashes decode to. */
function startsWithControl(run: string): boolean {
  for (let at = 0; at + 3 < 12; at += 4) {
    const a = sextet(run, at);
    const b = sextet(run, at + 1);
    const c = sextet(run, at + 2);
    const d = sextet(run, at + 3);
    if (isControl((a << 2) | (b >> 4))) return true;
    if (isControl(((b & 15) << 4) | (c >> 2)) || isControl(((c & 3) << 6) | d)) return true;
  }
  return false;
}

function sextet(run: string, at: number): number {
  return SEXTETS[run.charCodeAt(at)] as number;
}

/** A zero may be half of a UTF-16 letter. */
function isControl(byte: number): boolean {
  return byte > 0 && (byte < 9 || (byte > 13 && byte < 32) || byte === 127);
}

/** Printable, UTF-8 beyond ASCII included; PowerShell's UTF-16 has a zero after every letter. */
function isText(bytes: Uint8Array): boolean {
  let odd = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte === 0 && at % 2 === 0) return false;
    if (isControl(byte)) odd += 1;
    if (byte > 127) odd += 0.5;
  }
  return bytes.length > 0 && odd <= bytes.length / 8;
}
