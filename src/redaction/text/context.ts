import type { Source } from '../finding.ts';
import { isDigit } from './characters.ts';

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
  if (source.text[position - 1] === '>') {
    const element = ELEMENT.exec(source.text.slice(from, position))?.[1];
    if (element !== undefined) return element.toLowerCase();
  }
  const stop = lastStop(source.text, from, position);
  const near = source.text.slice(stop + 1, position).toLowerCase();
  const placeholder = near.lastIndexOf('_redacted');
  if (placeholder >= 0) return withoutHalfWord(near, placeholder + '_redacted'.length);
  // A stop is never half of a word, but a digit.
  if (stop >= from) return isDigit(source.text.charCodeAt(stop)) ? afterWord(near) : near;
  if (from === 0) return `${source.hint} ${near}`;
  return isWord(source.text[from - 1]) ? afterWord(near) : near;
}

/** An element's name has a small letter, a placeholder has none. */
const ELEMENT = /<([a-z][\w:.-]{0,36})>$/;

/** The end of a longer word is not a word: the `v` of `T3V` stands for no version. */
function withoutHalfWord(text: string, from: number): string {
  return from > 0 && isWord(text[from - 1]) ? afterWord(text.slice(from)) : text.slice(from);
}

function afterWord(text: string): string {
  let at = 0;
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

/** Where the last stop stands, or one before `from`. */
function lastStop(text: string, from: number, position: number): number {
  let at = position - 1;
  while (at >= from && !STOPS.includes(text[at] as string)) at -= 1;
  return at;
}

const STOPS = '0123456789@<>*[]';
