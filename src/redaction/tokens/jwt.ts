import type { Finding, Source } from '../finding.ts';
import { goesOnFrom } from '../text/words.ts';
import { isPlaceholder } from './secret-value.ts';

const HEADER = 'eyJ';
/** `header.payload.signature`; the signature is empty in unsecured tokens (RFC 7519 section 6). */
const SHAPE = /^[\w-]{8,2000}={0,2}\.[\w-]{8,8000}={0,2}(?:\.[\w-]{0,1000}={0,2}){0,3}/;
const LENGTH_MAX = 12_000;

/**
 * Finds JSON Web Tokens wherever they stand: two base64url parts or more, of which the first
 * decodes to the beginning of a JOSE header.
 *
 * @see RFC 7519 section 3, RFC 7515 section 4
 */
export function findJwts({ text }: Source, found: Finding[]): void {
  for (let start = text.indexOf(HEADER); start >= 0; start = text.indexOf(HEADER, start + 3)) {
    if (goesOnFrom(text, start)) continue;
    const token = SHAPE.exec(text.slice(start, start + LENGTH_MAX))?.[0];
    if (token === undefined || !isJwt(token) || isPlaceholder(token)) continue;
    found.push({ category: 'bearer_token', start, end: start + token.length });
    start += token.length - HEADER.length;
  }
}

/** The header is a JSON object that names an algorithm; unless encrypted, so is the payload. */
function isJwt(token: string): boolean {
  const [header = '', payload = ''] = token.split('.').map((part) => decode(part));
  if (!header.startsWith('{') || !header.trimEnd().endsWith('}')) return false;
  if (!/"(?:alg|typ|enc|kid)"\s{0,8}:/.test(header)) return false;
  return header.includes('"enc"') || payload.trimStart().startsWith('{');
}

function decode(part: string): string {
  return Buffer.from(part, 'base64url').toString('latin1');
}
