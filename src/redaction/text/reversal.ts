import { type View, ViewBuilder } from './view.ts';

/** RIGHT-TO-LEFT OVERRIDE; ends at POP DIRECTIONAL FORMATTING, POP ISOLATE or the line's end. */
const OVERRIDDEN = /\u202e([^\u202c\u2069\n]*)/g;

/**
 * A text as it is displayed where a right-to-left override turns it around.
 *
 * @returns null when there is no override
 * @see Unicode Standard Annex 9, section 2.2
 */
export function unreverse(text: string): View | null {
  if (!text.includes('\u202e')) return null;
  const builder = new ViewBuilder(text.length);
  let from = 0;
  for (const match of text.matchAll(OVERRIDDEN)) {
    builder.copy(text, from, match.index);
    from = match.index + match[0].length;
    for (let at = from - 1; at > match.index; at -= 1)
      builder.unit(text.charCodeAt(at), at, at + 1);
  }
  builder.copy(text, from, text.length);
  return builder.build(null);
}
