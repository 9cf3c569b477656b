import { goesOnFrom } from '../text/words.ts';
import type { Landmark } from './landmarks.ts';
import { isPlaceholder } from './secret-value.ts';

/** `header.payload.signature`; the signature is empty in unsecured tokens (RFC 7519 section 6). */
const SHAPE = /^[\w-]{8,2000}={0,2}\.[\w-]{8,8000}={0,2}(?:\.[\w-]{0,1000}={0,2}){0,3}/;
const LENGTH_MAX = 12_000;

/**
 * JSON Web Tokens wherever they stand: two base64url parts or more, of which the first
 * decodes to the beginning of a JOSE header.
 *
 * @see RFC 7519 section 3, RFC 7515 section 4
 */
export const JWT_LANDMARK: Landmark = {
  words: ['eyJ'],
  isExact: true,
  start: ({ text }, found) => {
    let from = 0;
    return (start) => {
      if (start < from || goesOnFrom(text, start)) return;
      const token = SHAPE.exec(text.slice(start, start + LENGTH_MAX))?.[0];
      if (token === undefined || !isJwt(token) || isPlaceholder(token)) return;
      from = start + token.length;
      found.push({ category: 'bearer_token', start, end: from });
    };
  },
};

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
