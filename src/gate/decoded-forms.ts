/**
 * A text in the forms that a program behind the tool may turn it into. Rules look at all of them:
 * what is hidden by one encoding, or by three, is seen.
 */
export function decodedForms(text: string): readonly string[] {
  const forms = new Set([text]);
  let current = text;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = decodeOnce(current);
    if (next === current) break;
    forms.add(next);
    current = next;
  }
  const plain = decodeBase64(text);
  if (plain !== null) forms.add(plain);
  return [...forms];
}

/** A text that is base64 of printable ASCII as a whole; shorter ones are words. */
function decodeBase64(text: string): string | null {
  if (text.length < 16 || text.length > 65_536 || !BASE64.test(text)) return null;
  const plain = Buffer.from(text, 'base64').toString('latin1');
  return /^[\t\n\r\x20-\x7e]+$/.test(plain) ? plain : null;
}

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Double and triple encoding occur in the wild; deeper is not decoded by anything known. */
const ROUNDS_MAX = 4;

function decodeOnce(text: string): string {
  let decoded = text;
  if (NOT_ASCII.test(decoded)) decoded = fold(decoded);
  if (decoded.includes('%')) decoded = decodePercent(decoded);
  if (decoded.includes('&')) decoded = decodeEntities(decoded);
  if (decoded.includes('\\')) decoded = decodeEscapes(decoded);
  return decoded;
}

const NOT_ASCII = /[^\0-\x7f]/;

/** Compatibility forms (fullwidth letters and dots) to their plain ones; invisible ones away. */
function fold(text: string): string {
  return text
    .normalize('NFKC')
    .replace(INVISIBLE, '')
    .replace(/[\u2215\u2044\u29f8]/g, '/')
    .replace(/[\u2216\u29f5\u29f9]/g, '\\');
}

/** Format characters, fillers, variation selectors. */
const INVISIBLE = /[\p{Cf}\p{Variation_Selector}\u{115f}\u{1160}\u{3164}\u{ffa0}]/gu;

/** `%2e`, `%u002e`, and the overlong UTF-8 forms (`%c0%ae`) that old decoders accept. */
function decodePercent(text: string): string {
  return text
    .replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(OVERLONG, (_, lead: string | undefined, last: string) => overlong(lead, last))
    .replace(/(?:%[0-9a-f]{2}){1,4096}/gi, decodeBytes)
    .replace(/%([2-7])%([0-9a-f])(?![0-9a-f])/gi, (_, high: string, low: string) =>
      String.fromCharCode(Number.parseInt(high + low, 16)),
    );
}

/** One to five bytes too many before the byte that carries the character. */
const OVERLONG =
  /%(?:(c[01])|e0%(?:80|81)|f0%80%(?:80|81)|f8%80%80%(?:80|81)|fc%80%80%80%(?:80|81))%([0-9a-f]{2})/gi;

function overlong(lead: string | undefined, last: string): string {
  const high = lead === undefined ? 0 : (Number.parseInt(lead, 16) & 1) << 6;
  return String.fromCharCode(high | (Number.parseInt(last, 16) & 0x3f));
}

function decodeBytes(encoded: string): string {
  const bytes = Buffer.from(encoded.replaceAll('%', ''), 'hex');
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? bytes.toString('latin1') : text;
}

function decodeEntities(text: string): string {
  return text
    .replace(/(?:&#x[0-9a-f]{1,6};?){1,4096}/gi, (run) => codePoints(run, 16))
    .replace(/(?:&#[0-9]{1,7};?){1,4096}/g, (run) => codePoints(run, 10))
    .replace(
      /&(sol|bsol|colon|period|commat|lt|gt|amp|quot|apos|lpar|rpar|semi|vert|grave|dollar|num|Tab|NewLine|nbsp|excl|quest|equals|percnt);/g,
      (match, name: string) => ENTITIES[name] ?? match,
    );
}

const ENTITIES: Readonly<Record<string, string>> = {
  sol: '/',
  bsol: '\\',
  colon: ':',
  period: '.',
  commat: '@',
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
  lpar: '(',
  rpar: ')',
  semi: ';',
  vert: '|',
  grave: '`',
  dollar: '$',
  num: '#',
  Tab: '\t',
  NewLine: '\n',
  nbsp: ' ',
  excl: '!',
  quest: '?',
  equals: '=',
  percnt: '%',
};

/** The escapes of JavaScript, Python, C and shells: `\x2e`, `\u002e`, `\056`, `\n`. */
function decodeEscapes(text: string): string {
  return text
    .replace(/\\u\{([0-9a-f]{1,6})\}/gi, (match, hex: string) =>
      codePoint(match, Number.parseInt(hex, 16)),
    )
    .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replace(/(?:\\x[0-9a-f]{2}){1,4096}/gi, (bytes) =>
      Buffer.from(bytes.replaceAll(/\\x/gi, ''), 'hex').toString('latin1'),
    )
    .replace(/\\[nr]/g, '\n')
    .replace(/\\(0?[0-7]{3})(?![0-9])/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8) & 0xff),
    );
}

/** A run of numeric entities at once: one call for each is what would take time. */
function codePoints(run: string, base: 10 | 16): string {
  const [, ...entities] = run.split('&#');
  return entities
    .map((entity) => {
      const digits = base === 16 ? entity.slice(1) : entity;
      return codePoint(`&#${entity}`, Number.parseInt(digits, base));
    })
    .join('');
}

function codePoint(match: string, code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : match;
}
