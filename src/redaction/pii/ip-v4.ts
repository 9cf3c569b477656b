import type { Source } from '../finding.ts';
import { isAlphanumeric, isDigit } from '../text/characters.ts';
import { wordsBefore } from '../text/context.ts';
import type { DigitRow } from '../text/digit-rows.ts';
import { goesOnFrom } from '../text/words.ts';

const GROUPS = 4;
const VERSION_WORDS =
  /(?:\bv|version|release|build|firmware|update|chapter|section|§)[ :#=."'(-]*$/;
/** `Chrome/120.0.6099.109` (RFC 9110 section 10.1.5). */
const PRODUCT = /(?:^|[\s(;"'])[A-Z][A-Za-z]{1,20}\/$/;
/** `setup-1.2.3.4.exe` */
const PACKAGE = /^\.(?:tar|zip|jar|exe|dll|whl|deb|rpm|tgz|gz|nupkg|msi|apk|dmg)\b/;
const NEAR = 24;

/**
 * Index after the last group of the dotted IPv4 address that starts at group `from`; `from` when
 * there is none. Octets may be written in octal (`0313`), as in URLs. Five numbers in a row, and
 * four after a word like "version", are a version.
 *
 * @see RFC 3986 section 3.2.2, WHATWG URL "IPv4 parser" (octal)
 */
export function endOfIpV4(source: Source, row: DigitRow, from: number): number {
  const to = from + GROUPS - 1;
  if (to >= row.length || continues(row, from, to)) return from;
  for (let at = from; at <= to; at += 1) {
    if ((at < to && !isDot(row, at)) || !isOctet(row, at)) return from;
  }
  return isVersion(source, row.starts[from] as number, row.ends[to] as number) ? from : to + 1;
}

function isVersion(source: Source, start: number, end: number): boolean {
  const { text } = source;
  if (text[start - 1] === '/' && PRODUCT.test(text.slice(Math.max(0, start - NEAR), start))) {
    return true;
  }
  if (text[end] === '.' && PACKAGE.test(text.slice(end, end + NEAR))) return true;
  return VERSION_WORDS.test(wordsBefore(source, start));
}

/** Length of a network suffix such as `/24` at a position, 0 when there is none. */
export function networkSuffixLength(text: string, at: number, bitsMax: number): number {
  if (text[at] !== '/') return 0;
  let end = at + 1;
  while (end < at + 4 && isDigit(text.charCodeAt(end))) end += 1;
  const bits = Number(text.slice(at + 1, end));
  const fits = end > at + 1 && bits <= bitsMax && !isAlphanumeric(text.charCodeAt(end));
  return fits ? end - at : 0;
}

function isOctet({ text, starts, ends }: DigitRow, group: number): boolean {
  const octet = text.slice(starts[group], ends[group]);
  if (octet.length > 4) return false;
  if (octet.length > 1 && octet[0] === '0') {
    return /^0[0-7]+$/.test(octet) ? Number.parseInt(octet, 8) <= 255 : Number(octet) <= 255;
  }
  return Number(octet) <= 255;
}

function isDot({ text, starts, ends }: DigitRow, group: number): boolean {
  return starts[group + 1] === (ends[group] as number) + 1 && text[ends[group] as number] === '.';
}

function continues(row: DigitRow, from: number, to: number): boolean {
  const after = row.text.charCodeAt(row.ends[to] as number);
  if (goesOnFrom(row.text, row.starts[from] as number) || isAlphanumeric(after)) return true;
  return (from > 0 && isDot(row, from - 1)) || (to + 1 < row.length && isDot(row, to));
}
