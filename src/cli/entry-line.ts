import type { ExportedEntry } from '../index.ts';

/** What JSON.stringify leaves as it is, and a terminal obeys or hides. */
const UNSAFE = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu;

/**
 * An entry as a line of JSON, the same value with every character that could drive a terminal as an
 * escape: `cat` of an exported trail is safe.
 */
export function entryLine(entry: ExportedEntry): string {
  return jsonLine(entry);
}

/** Any value in that way. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(UNSAFE, escapeUnits)}\n`;
}

/** Characters beyond U+FFFF are two escapes. */
function escapeUnits(char: string): string {
  return char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
