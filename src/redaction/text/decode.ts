import { isHexDigit } from './characters.ts';
import { type View, ViewBuilder } from './view.ts';

/** What makes a decoding worth its time. Plain `\\n` and `\\"` are understood without. */
const ENCODED =
  /^(?:%(?:[\da-f]{2}|u[\da-f]{4})|&(?:#x?\d|#x[a-f]|[a-z]{2,8};)|\\{1,8}(?:u[\da-f{]|x[\da-f])|\\(?:\/|[0-3][0-7]{2}|\r?\n))/i;
/** Colours and cursor moves of terminals, after the escape (ECMA-48 section 5.4). */
const CONTROL = /^\[[\d;:?]{0,24}[@-~]/;
const ENCODED_MAX = 10;

/** Where anything encoded can start: `%`, `&`, `\\`, an opening bracket, a control character. */
const SPECIAL = /[^\t-\r -$'),-<>-Z\]-z|}~*\u0080-\uffff]|["'`](?=\s{0,12}\+)/g;
/** Longest entity that is looked at; zeros may pad numeric ones. */
const ENTITY_MAX = 40;
/** Quote, plus and quote, with blanks between. */
const JOINT_MAX = 26;

/** Named entities that matter to an address, a number or a key. */
const ENTITIES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    nbsp: ' ',
    commat: '@',
    period: '.',
    hyphen: '-',
    dash: '-',
    ndash: '-',
    mdash: '-',
    minus: '-',
    lowbar: '_',
    plus: '+',
    num: '#',
    colon: ':',
    semi: ';',
    sol: '/',
    bsol: '\\',
    equals: '=',
    lpar: '(',
    rpar: ')',
    percnt: '%',
    comma: ',',
    excl: '!',
    quest: '?',
    ensp: ' ',
    emsp: ' ',
    thinsp: ' ',
    shy: '',
    zwj: '',
    zwnj: '',
    tab: '\t',
    newline: '\n',
    dollar: '$',
    ast: '*',
    lsqb: '[',
    rsqb: ']',
    lcub: '{',
    rcub: '}',
  }),
);

const ESCAPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    n: '\n',
    t: '\t',
    r: '\r',
    b: ' ',
    f: ' ',
    v: ' ',
    '"': '"',
    "'": "'",
    '`': '`',
    '\\': '\\',
    '/': '/',
  }),
);

/** One decoded place: what it says, and how many source characters say it. */
interface Decoded {
  readonly text: string;
  readonly length: number;
}

/**
 * Undoes one layer of encoding: percent, HTML entities, backslash escapes, string concatenation,
 * dots in brackets.
 * Twice encoded text needs two calls.
 *
 * @param source - the view that `text` belongs to, or null for the text itself
 * @returns null when nothing is encoded
 */
export function decode(text: string, source: View | null): View | null {
  const builder = new ViewBuilder(text.length);
  let from = 0;
  let isWorthIt = false;
  for (const special of text.matchAll(SPECIAL)) {
    const at = special.index;
    const decoded = at < from ? null : decodeAt(text, at);
    if (decoded === null) continue;
    isWorthIt ||= decoded.text === '' || isEncodedAt(text, at, text.charCodeAt(at));
    builder.copy(text, from, at);
    from = at + decoded.length;
    builder.text(decoded.text, at, from);
  }
  builder.copy(text, from, text.length);
  return isWorthIt ? builder.build(source) : null;
}

/**
 * True when something is encoded at a position, other than the everyday `\\n` and `\\"`.
 *
 * @param code - the character there
 */
export function isEncodedAt(text: string, at: number, code: number): boolean {
  switch (code) {
    case 37:
    case 38:
    case 92:
      return ENCODED.test(text.slice(at, at + ENCODED_MAX));
    case 61: // of quoted-printable
      return true;
    case 0:
    case 27:
      return controlAt(text, at) !== null;
    case 40:
    case 91:
    case 123:
      return defangedAt(text, at) !== null;
    case 43:
      return isConcatenation(text, at);
    default:
      return false;
  }
}

function decodeAt(text: string, at: number): Decoded | null {
  switch (text.charCodeAt(at)) {
    case 37:
      return percentAt(text, at);
    case 38:
      return entityAt(text, at);
    case 92:
      return escapeAt(text, at);
    case 34:
    case 39:
    case 96:
      return concatenationAt(text, at);
    case 40:
    case 91:
    case 123:
      return defangedAt(text, at);
    case 0:
    case 27:
      return controlAt(text, at);
    default:
      return null;
  }
}

/** `%41`, `%C3%A9` (UTF-8), `%u0041`. Bytes that are not UTF-8 stand for Latin-1 letters. */
function percentAt(text: string, at: number): Decoded | null {
  const wide = /^%u([\da-f]{4})/i.exec(text.slice(at, at + 6));
  if (wide) return { text: fromCode(wide[1] as string, 16), length: 6 };
  const first = byteAt(text, at);
  if (first < 0) return null;
  const size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  const bytes: number[] = [];
  for (let index = 0; index < size; index += 1) bytes.push(byteAt(text, at + 3 * index));
  if (size === 1 || bytes.some((byte) => byte < 0)) {
    return { text: String.fromCharCode(first), length: 3 };
  }
  const decoded = Buffer.from(bytes).toString('utf8');
  const isUtf8 = !decoded.includes('\ufffd');
  return isUtf8
    ? { text: decoded, length: 3 * size }
    : { text: String.fromCharCode(first), length: 3 };
}

function byteAt(text: string, at: number): number {
  if (text.charCodeAt(at) !== 37) return -1;
  if (!isHexDigit(text.charCodeAt(at + 1)) || !isHexDigit(text.charCodeAt(at + 2))) return -1;
  return Number.parseInt(text.slice(at + 1, at + 3), 16);
}

function entityAt(text: string, at: number): Decoded | null {
  const entity = text.slice(at, at + ENTITY_MAX);
  const numeric = /^&#(?:x0{0,24}([\da-f]{1,6})|0{0,24}(\d{1,7}));?/i.exec(entity);
  if (numeric) {
    const [whole, hex, decimal] = numeric;
    return {
      text: hex ? fromCode(hex, 16) : fromCode(decimal as string, 10),
      length: whole.length,
    };
  }
  const named = /^&([a-z]{2,8});/i.exec(entity);
  const meaning = named ? ENTITIES.get((named[1] as string).toLowerCase()) : undefined;
  return meaning === undefined ? null : { text: meaning, length: named?.[0].length ?? 0 };
}

/** `\u0041`, `\u{41}`, `\U00000041`, `\x41`, `\101`, `\n`, `\"`, `\/`, a line that goes on. */
function escapeAt(text: string, at: number): Decoded | null {
  const rest = text.slice(at + 1, at + 12);
  const hex = /^(?:U0{2}([\da-f]{6})|u([\da-f]{4})|u\{0{0,4}([\da-f]{1,6})\}|x([\da-f]{2}))/i.exec(
    rest,
  );
  if (hex) {
    const digits = (hex[1] ?? hex[2] ?? hex[3] ?? hex[4]) as string;
    return { text: fromCode(digits, 16), length: 1 + hex[0].length };
  }
  if (/^[0-3][0-7]{2}/.test(rest)) return { text: fromCode(rest.slice(0, 3), 8), length: 4 };
  const continued = /^\r?\n/.exec(rest);
  if (continued) return { text: '', length: 1 + continued[0].length };
  const meaning = ESCAPES.get(rest[0] ?? '');
  return meaning === undefined ? null : { text: meaning, length: 2 };
}

/** True for a `+` with the quotes of two strings around it. */
function isConcatenation(text: string, plus: number): boolean {
  const before = text.slice(Math.max(0, plus - JOINT_MAX / 2), plus).trimEnd();
  const after = text.slice(plus + 1, plus + 1 + JOINT_MAX / 2).trimStart();
  return /["'`]$/.test(before) && /^["'`]/.test(after);
}

/** The zeros of UTF-16, and what tells a terminal how to show the text. */
function controlAt(text: string, at: number): Decoded | null {
  if (text.charCodeAt(at) === 0) return { text: '', length: 1 };
  const control = CONTROL.exec(text.slice(at + 1, at + ENTITY_MAX));
  return control === null ? null : { text: '', length: 1 + control[0].length };
}

/** `'abc' + 'def'`: the pieces of one string. */
function concatenationAt(text: string, at: number): Decoded | null {
  const joint = /^["'`]\s{0,12}\+\s{0,12}["'`]/.exec(text.slice(at, at + JOINT_MAX));
  return joint === null ? null : { text: '', length: joint[0].length };
}

/** `203[.]0[.]113[.]5`, `ann[@]example(.)com`: addresses that nobody shall click. */
function defangedAt(text: string, at: number): Decoded | null {
  const sign = text[at + 1] as string;
  const closing = text[at + 2];
  const isClosed = closing === ']' || closing === ')' || closing === '}';
  return isClosed && '.@:'.includes(sign) ? { text: sign, length: 3 } : null;
}

/** Surrogate halves are kept as they are: `\ud83d\ude00` makes a whole of two. */
function fromCode(digits: string, base: number): string {
  const code = Number.parseInt(digits, base);
  return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
}
