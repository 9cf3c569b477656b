import type { Finding, Source } from '../finding.ts';
import { isAfterEscape } from '../text/words.ts';

/** Longest local part and domain that are looked at (RFC 5321 section 4.5.3.1). */
const LOCAL_MAX = 64;
const DOMAIN_MAX = 253;
const SCHEME = 'mailto:';
const USER_MAX = 72;

/** Unicode letters are allowed on both sides (RFC 6531); `=`, `/`, `?` and `:` end a local part. */
const LOCAL = /[\p{L}\p{M}\p{N}.!#$%&'*+^_`{|}~-]/u;
const DOMAIN =
  /^(?:[\p{L}\p{N}][\p{L}\p{M}\p{N}-]*\.){1,12}(?:xn--[a-z\d-]{2,59}|[\p{L}\p{M}]{2,63})/iu;
const ADDRESS_LITERAL = /^\[(?:ipv6:)?[\da-f:.]{3,45}\]/i;
/** Endings of file names such as `logo@2x.png`, none of them a top-level domain. */
const FILE_ENDINGS =
  /\.(?:png|jpe?g|gif|svg|webp|avif|ico|bmp|tiff?|css|scss|less|jsx?|tsx|mjs|cjs|json|html?|xml|ya?ml|toml|txt|pdf|docx?|xlsx?|pptx?|csv|tsv|lock|map|wasm|woff2?|ttf|mp[34]|avi|exe|dll|tar|gz|tgz|whl|gem|jar)$/i;

/**
 * Finds e-mail addresses: a local part, `@`, and a domain with a top-level label or an address in
 * brackets. Quoted local parts and "name [at] host [dot] com" count too.
 *
 * @see RFC 5321 section 4.1.2, RFC 6531
 */
export function findEmails(source: Source, found: Finding[]): void {
  const { text } = source;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    addEmail(text, { start: at, end: at + 1 }, found);
  }
  if (text.includes('at') || text.includes('AT')) findSpelledOut(text, found);
  if (text.includes(' dot ') || text.includes(' DOT ')) findInWords(text, found);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function addEmail(text: string, sign: Span, found: Finding[]): void {
  const start = localStart(text, sign.start);
  if (start === sign.start || isUrlPassword(text, start)) return;
  const rest = text.slice(sign.end, sign.end + DOMAIN_MAX);
  const scheme = /mailto:$/i.exec(text.slice(Math.max(0, start - SCHEME.length), start))?.[0] ?? '';
  const length = domainLength(rest) || (scheme === '' ? 0 : hostLength(rest));
  if (length === 0) return;
  found.push({ category: 'email', start: start - scheme.length, end: sign.end + length });
}

/** `https://user:secret@host`: what looks like an address is a password and a host. */
function isUrlPassword(text: string, start: number): boolean {
  // Slashes may be escaped, as in JSON.
  const before = text.slice(Math.max(0, start - USER_MAX), start).replaceAll('\\', '');
  const authority = before.lastIndexOf('://');
  return authority >= 0 && before.endsWith(':') && !/[\s/@]/.test(before.slice(authority + 3));
}

/** In `mailto:foo@host` the scheme says that it is an address, so any host will do. */
function hostLength(rest: string): number {
  return /^[a-z\d][a-z\d.-]{0,62}/i.exec(rest)?.[0].length ?? 0;
}

function localStart(text: string, at: number): number {
  if (text.charCodeAt(at - 1) === 34) return quotedStart(text, at);
  let start = at;
  const limit = Math.max(0, at - LOCAL_MAX);
  while (start > limit && isLocalBefore(text, start)) start -= characterBefore(text, start).length;
  return skipLeadingMarks(text, start, at);
}

/** Also the quotes of `john."middle".doe@…` (RFC 5322 section 4.4), which have a dot beside them. */
function isLocalBefore(text: string, at: number): boolean {
  if (isAfterEscape(text, at)) return false;
  const character = characterBefore(text, at);
  if (LOCAL.test(character)) return true;
  return character === '"' && (text[at] === '.' || text[at - 2] === '.');
}

/** A mark such as `*`, `'` or `.` that leads the local part belongs to the text around it. */
function skipLeadingMarks(text: string, start: number, at: number): number {
  let from = start;
  while (from < at && ".!#$%&'*+^`{|}~-".includes(text[from] as string)) from += 1;
  return from;
}

function characterBefore(text: string, at: number): string {
  const low = text.charCodeAt(at - 1);
  const isLow = low >= 0xdc00 && low <= 0xdfff && at >= 2;
  return text.slice(isLow ? at - 2 : at - 1, at);
}

/** `"john doe"@example.com`: back to the opening quote on the same line. */
function quotedStart(text: string, at: number): number {
  const from = Math.max(0, at - LOCAL_MAX - 2);
  const opening = text.slice(from, at - 1).lastIndexOf('"');
  const isOneLine = opening >= 0 && !text.slice(from + opening, at).includes('\n');
  return isOneLine && from + opening < at - 2 ? from + opening : at;
}

function domainLength(rest: string): number {
  const literal = ADDRESS_LITERAL.exec(rest);
  if (literal) return literal[0].length;
  const domain = DOMAIN.exec(rest)?.[0] ?? '';
  return FILE_ENDINGS.test(domain) ? 0 : domain.length;
}

/** `maria [at] example [dot] com`, with brackets of any kind around both words. */
const SPELLED_AT = /[[({<]\s?at\s?[\])}>]/gi;
const SPELLED_DOMAIN =
  /^[\p{L}\p{N}][\p{L}\p{N}-]{0,62}(?:(?:\.|[ \t]{0,2}[[({<]\s?(?:dot|punkt|point)\s?[\])}>][ \t]{0,2})[\p{L}\p{N}][\p{L}\p{N}-]{0,62}){1,6}/iu;

function findSpelledOut(text: string, found: Finding[]): void {
  for (const match of text.matchAll(SPELLED_AT)) {
    const before = skipBlanks(text, match.index, -1);
    const start = localStart(text, before);
    const after = skipBlanks(text, match.index + match[0].length, 1);
    const domain = SPELLED_DOMAIN.exec(text.slice(after, after + DOMAIN_MAX));
    if (start === before || domain === null) continue;
    found.push({ category: 'email', start, end: after + domain[0].length });
  }
}

/** `maria at example dot com`: without brackets, only a known last label is sure to be one. */
const WORD_DOMAIN = /^[a-z\d-]{1,63}(?: dot [a-z\d-]{1,63}){1,6}/i;
const LAST_LABEL = / dot (?:com|org|net|edu|gov|info|io|dev|ai|app|[a-z]{2})$/i;

function findInWords(text: string, found: Finding[]): void {
  for (const { index, 0: at } of text.matchAll(/ at /gi)) {
    const start = localStart(text, index);
    const after = index + at.length;
    const domain = WORD_DOMAIN.exec(text.slice(after, after + DOMAIN_MAX))?.[0] ?? '';
    if (start === index || !LAST_LABEL.test(domain)) continue;
    found.push({ category: 'email', start, end: after + domain.length });
  }
}

/** Over one or two blanks, forwards or backwards. */
function skipBlanks(text: string, from: number, step: 1 | -1): number {
  let at = from;
  const next = () => text[step > 0 ? at : at - 1] ?? '';
  for (let count = 0; count < 2 && /[ \t]/.test(next()); count += 1) at += step;
  return at;
}
