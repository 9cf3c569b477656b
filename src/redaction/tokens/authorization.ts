import type { Finding } from '../finding.ts';
import { isWordCharacter } from '../text/words.ts';
import type { Landmark } from './landmarks.ts';
import { isPlaceholder, looksRandom } from './secret-value.ts';

/** How far behind its word a credential is read. */
const REACH = 4096;

/** A word that announces credentials, and what follows it: the last group. */
interface Announcement {
  readonly value: RegExp;
  readonly isSecret: (credentials: string) => boolean;
}

const ANNOUNCEMENTS: Readonly<Record<string, Announcement>> = {
  bearer: { value: /^[ \t"':=]{1,6}([\w.~+/-]{16,}={0,2})/, isSecret: isToken },
  // Any other scheme, `Token` or a vendor's own, right after the header's name.
  authorization: {
    value:
      /^["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?:[A-Za-z][\w-]{1,20}[ \t]{1,3})?([\w.~+/=:-]{16,400})/,
    isSecret: isToken,
  },
  basic: {
    value: /^[ \t]{1,3}([A-Za-z\d+/_-]{8,600}={0,2})/,
    isSecret: isUserAndPassword,
  },
};

/**
 * The credentials of HTTP `Authorization`: bearer tokens that read as random, and
 * `Basic` with a base64 of `user:password`. "The bearer of bad news" is neither.
 *
 * @see RFC 6750 section 2.1, RFC 7617 section 2
 */
export const AUTHORIZATION_LANDMARK: Landmark = {
  words: Object.keys(ANNOUNCEMENTS),
  isExact: false,
  start:
    ({ text }, found) =>
    (at, word) => {
      const end = at + word.length;
      if (isWordCharacter(text, at - 1) || isWordCharacter(text, end)) return;
      addCredentials(text, end, ANNOUNCEMENTS[word] as Announcement, found);
    },
};

function addCredentials(
  text: string,
  from: number,
  { value, isSecret }: Announcement,
  found: Finding[],
): void {
  const credentials = value.exec(text.slice(from, from + REACH));
  if (credentials === null || !isSecret(credentials[1] as string)) return;
  const end = from + credentials[0].length;
  const start = end - (credentials[1] as string).length;
  found.push({ category: 'bearer_token', start, end });
}

function isToken(credentials: string): boolean {
  return !isPlaceholder(credentials) && looksRandom(credentials);
}

function isUserAndPassword(credentials: string): boolean {
  const decoded = Buffer.from(credentials, 'base64').toString('latin1');
  return /^[ -9;-~]{1,200}:[ -~]{0,200}$/.test(decoded);
}
