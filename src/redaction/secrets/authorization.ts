import type { Detector, Finding } from '../finding.ts';
import { isPlaceholder, looksRandom } from './secret-value.ts';

const BEARER = /\bbearer[ \t"':=]{1,6}([\w.~+/-]{16,}={0,2})/gi;
const BASIC = /\bbasic[ \t]{1,3}([A-Za-z\d+/_-]{8,600}={0,2})/gi;
/** Any other scheme, `Token` or a vendor's own, right after the header's name. */
const HEADER = /\bauthorization\b/gi;
const HEADER_REACH = 480;
const HEADER_VALUE =
  /^["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?:[A-Za-z][\w-]{1,20}[ \t]{1,3})?([\w.~+/=:-]{16,400})/;

/**
 * A detector for the credentials of HTTP `Authorization`: bearer tokens that read as random, and
 * `Basic` with a base64 of `user:password`. "The bearer of bad news" is neither.
 *
 * @see RFC 6750 section 2.1, RFC 7617 section 2
 */
export function authorizationDetector(categories: ReadonlySet<string>): Detector {
  if (!categories.has('bearer_token')) return () => {};
  return ({ text }, found) => {
    findAll(text, BEARER, isToken, found);
    findHeaders(text, found);
    findAll(text, BASIC, isUserAndPassword, found);
  };
}

function findAll(
  text: string,
  pattern: RegExp,
  isSecret: (credentials: string) => boolean,
  found: Finding[],
): void {
  for (const match of text.matchAll(pattern)) {
    const credentials = match[1] as string;
    if (!isSecret(credentials)) continue;
    const end = match.index + match[0].length;
    found.push({ category: 'bearer_token', start: end - credentials.length, end });
  }
}

function findHeaders(text: string, found: Finding[]): void {
  for (const header of text.matchAll(HEADER)) {
    const from = header.index + header[0].length;
    const value = HEADER_VALUE.exec(text.slice(from, from + HEADER_REACH));
    if (value === null || !isToken(value[1] as string)) continue;
    const end = from + value[0].length;
    found.push({ category: 'bearer_token', start: end - (value[1] as string).length, end });
  }
}

function isToken(credentials: string): boolean {
  return !isPlaceholder(credentials) && looksRandom(credentials);
}

function isUserAndPassword(credentials: string): boolean {
  const decoded = Buffer.from(credentials, 'base64').toString('latin1');
  return /^[ -9;-~]{1,200}:[ -~]{0,200}$/.test(decoded);
}
