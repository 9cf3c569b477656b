import type { Detector, Finding } from '../finding.ts';
import { isPlaceholder, looksRandom } from './secret-value.ts';

const BEARER = /\bbearer[ \t"':=]{1,6}([\w.~+/-]{16,4000}={0,2})/gi;
const BASIC = /\bbasic[ \t]{1,3}([A-Za-z\d+/_-]{8,1000}={0,2})/gi;
const OTHER_SCHEME =
  /\bauthorization["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?:[A-Za-z][\w-]{1,20}[ \t]{1,3})?([\w.~+/=:-]{16,4000})/gi;

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
    findAll(text, OTHER_SCHEME, isToken, found);
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

function isToken(credentials: string): boolean {
  return !isPlaceholder(credentials) && looksRandom(credentials);
}

function isUserAndPassword(credentials: string): boolean {
  const decoded = Buffer.from(credentials, 'base64').toString('latin1');
  return /^[ -9;-~]{1,200}:[ -~]{0,200}$/.test(decoded);
}
