import { isAlphanumeric } from './characters.ts';

/**
 * True when a letter or digit stands right before a position, so that what starts there is part of
 * a longer word. The letter of an escape such as `\n` does not count: JSON text is full of them.
 */
export function goesOnFrom(text: string, at: number): boolean {
  return isAlphanumeric(text.charCodeAt(at - 1)) && !isAfterEscape(text, at);
}

/** True for what a regular expression's `\\w` takes. */
export function isWordCharacter(text: string, at: number): boolean {
  return text[at] === '_' || isAlphanumeric(text.charCodeAt(at));
}

/** True right after an escape of two characters, such as `\n`. */
export function isAfterEscape(text: string, at: number): boolean {
  return text.charCodeAt(at - 2) === 92 && 'nrtbfv'.includes(text[at - 1] as string);
}
