import type { Detector, Finding } from '../finding.ts';
import type { Landmark } from './landmarks.ts';
import { isPlaceholder } from './secret-value.ts';

/** How far the key may stand from the name or the access key id that announces it. */
const REACH = 100;
const KEY_LENGTH = 40;
const NAMES = ['aws', 'amazon', 'secretaccesskey', 'secret_access_key', 'secret-access-key'];
const KEY_IDS = ['akia', 'asia'];
const KEY_ID = /^[A-Z\d]{20}/i;
const KEY = /(?<![A-Za-z\d+/=])[A-Za-z\d+/]{40}(?![A-Za-z\d+/=])/g;

/**
 * AWS secret access keys: 40 base64 characters near the word that announces them
 * or near an access key id. Alone they look like any hash.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html
 */
export const AWS_SECRET_LANDMARK: Landmark = {
  words: [...NAMES, 'secret access key', ...KEY_IDS],
  isExact: false,
  start: ({ text }, found) => {
    let from = 0;
    return (at, word) => {
      if (KEY_IDS.includes(word) && !KEY_ID.test(text.slice(at, at + 20))) return;
      from = addKeys(text, Math.max(from, at), found);
    };
  },
};

/** Finds the key in a value whose own key announces it. */
export const findHeldAwsSecret: Detector = ({ text, hint }, found) => {
  if (/secret.?access.?key|aws.?secret/.test(hint)) addKeys(text, 0, found);
};

/** Looks at what is within reach of a word; returns where the next look may start. */
function addKeys(text: string, from: number, found: Finding[]): number {
  const to = from + REACH + KEY_LENGTH;
  // One character before, for the look-behind.
  const before = Math.max(0, from - 1);
  for (const match of text.slice(before, to + 1).matchAll(KEY)) {
    const key = match[0];
    if (isPlaceholder(key) || !/\d/.test(key) || !/[a-z]/.test(key) || !/[A-Z]/.test(key)) continue;
    const start = before + match.index;
    found.push({ category: 'aws_secret_key', start, end: start + KEY_LENGTH });
  }
  return Math.max(from, Math.min(to, text.length) - KEY_LENGTH - 1);
}
