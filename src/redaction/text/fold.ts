import { READ_AS } from './confusables.ts';
import { type View, ViewBuilder } from './view.ts';

/** Nothing outside ASCII: most texts. */
const ASCII = /^[\0-\x7f]*$/;
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
  if (ASCII.test(text)) return null;
  const builder = new ViewBuilder(text.length * LONGEST_FORM);
  let isChanged = false;
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at) as number;
    const end = at + (code > 0xffff ? 2 : 1);
    if (code < 0x80) builder.unit(code, at, end);
    else isChanged = foldOne(text, at, end, code, builder) || isChanged;
    at = end;
  }
  return isChanged ? builder.build(source) : null;
}

/** `㏂`-like forms have at most four characters. */
const LONGEST_FORM = 4;

/** True when the character was changed or left out. */
function foldOne(
  text: string,
  at: number,
  end: number,
  code: number,
  builder: ViewBuilder,
): boolean {
  const form = READ_AS.get(code);
  if (form !== undefined) {
    builder.text(form, at, end);
    return true;
  }
  const character = text.slice(at, end);
  if (LINE_SEPARATORS.includes(character)) builder.unit(10, at, end);
  else if (MARK.test(character)) builder.stretch(end);
  else if (!INVISIBLE.test(character)) {
    builder.text(character, at, end);
    return false;
  }
  return true;
}
