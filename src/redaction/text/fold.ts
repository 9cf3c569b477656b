import { READ_AS } from './confusables.ts';
import { type View, ViewBuilder } from './view.ts';

/**
 * Not seen by a reader: format and bidi controls, variation selectors, tags, fillers. They are
 * left out, as are marks that stand on a character without being part of it.
 */
const INVISIBLE = /\p{Cf}|\p{Variation_Selector}|\p{Default_Ignorable_Code_Point}/u;
const MARK = /\p{M}/u;
const LINE_SEPARATORS = '\u2028\u2029\u0085';

/**
 * Folds what reads like ASCII into ASCII: compatibility forms, look-alike letters, digits of all
 * scripts, dashes and blanks; leaves out what is invisible and combining marks.
 *
 * @param source - a view, or null for the text itself
 * @returns null when nothing changes
 */
export function fold(text: string, source: View | null): View | null {
  let builder: ViewBuilder | null = null;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 128 || !isFoldable(text, at, code)) continue;
    builder ??= new ViewBuilder(text.length);
    builder.copy(text, from, at);
    from = at + (isHighSurrogate(code) ? 2 : 1);
    foldOne(text.slice(at, from), at, builder);
    at = from - 1;
  }
  builder?.copy(text, from, text.length);
  return builder?.build(source) ?? null;
}

/**
 * True when the character at a position would be folded or left out.
 *
 * @param code - its first unit, beyond ASCII
 */
export function isFoldable(text: string, at: number, code: number): boolean {
  if (code < 0xd800 || code > 0xdfff) return FOLDABLE[code] === 1;
  const point = text.codePointAt(at) as number;
  return READ_AS.has(point) || isLeftOut(String.fromCodePoint(point));
}

/** For the basic plane, since most texts beyond ASCII have no other characters. */
const FOLDABLE: Uint8Array = Uint8Array.from({ length: 0x10000 }, (_, code) =>
  code > 0x7f && (READ_AS.has(code) || isLeftOut(String.fromCharCode(code))) ? 1 : 0,
);

function isLeftOut(character: string): boolean {
  return MARK.test(character) || INVISIBLE.test(character) || LINE_SEPARATORS.includes(character);
}

function foldOne(character: string, at: number, builder: ViewBuilder): void {
  const end = at + character.length;
  const form = READ_AS.get(character.codePointAt(0) as number);
  if (form !== undefined) builder.text(form, at, end);
  else if (LINE_SEPARATORS.includes(character)) builder.text('\n', at, end);
  else if (MARK.test(character)) builder.stretch(end);
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
