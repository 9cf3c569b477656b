import type { Source } from '../finding.ts';

/** How far a word may stand from the number it explains, in characters. */
const BEFORE_MAX = 40;
const AFTER_MAX = 14;

/**
 * The words right before a position, in lower case: back to the nearest digit, `@`, bracket or
 * asterisk, at most 40 characters. The key that holds the text counts as its first words.
 *
 * Stopping at such characters keeps redaction idempotent: neither a neighbour nor the placeholder
 * that replaces it lies inside a context, so replacing it cannot bring a word into reach.
 */
export function wordsBefore(source: Source, position: number): string {
  const from = Math.max(0, position - BEFORE_MAX);
  const written = source.text.slice(from, position);
  // An element's name has a small letter, a placeholder has none.
  const element = /<([a-z][\w:.-]{0,36})>$/.exec(written)?.[1];
  if (element !== undefined) return element.toLowerCase();
  const near = written.toLowerCase();
  const stop = Math.max(lastStop(near), lastPlaceholder(near));
  if (stop >= 0) return withoutHalfWord(near, stop + 1);
  if (from === 0) return `${source.hint} ${near}`;
  return isWord(source.text[from - 1]) ? withoutHalfWord(near, 0) : near;
}

/** The end of a longer word is not a word: the `v` of `T3V` stands for no version. */
function withoutHalfWord(text: string, from: number): string {
  let at = from;
  if (at > 0 && !isWord(text[at - 1])) return text.slice(at);
  while (at < text.length && isWord(text[at])) at += 1;
  return text.slice(at);
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}_]/u.test(character);
}

/** The words right after a position, in lower case, up to the same stops, on the same line. */
export function wordsAfter(source: Source, position: number): string {
  const near = source.text.slice(position, position + AFTER_MAX).toLowerCase();
  const stop = near.search(/[0-9@<>*[\]\n]/);
  return stop < 0 ? near : near.slice(0, stop);
}

function lastStop(text: string): number {
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if ('0123456789@<>*[]'.includes(text[at] as string)) return at;
  }
  return -1;
}

function lastPlaceholder(text: string): number {
  const at = text.lastIndexOf('_redacted');
  return at < 0 ? -1 : at + '_redacted'.length - 1;
}
