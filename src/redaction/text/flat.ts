/** Shorter texts are read before they are copied. */
const LENGTH_MIN = 64;
const BEYOND_LATIN1 = /[^\0-\xff]/;

/**
 * The same text in one piece of memory. What `slice` and `+` give refers to other strings, and is
 * read character by character more than five times as slowly (measured: 5.5 against 0.4 ms for a
 * pass over 1 MB in slices of 16 KiB); the copy takes 0.3 ms.
 */
export function flattened(text: string): string {
  if (text.length < LENGTH_MIN) return text;
  const encoding = BEYOND_LATIN1.test(text) ? 'utf16le' : 'latin1';
  return Buffer.from(text, encoding).toString(encoding);
}
