import { getCountries, getCountryCallingCode, parsePhoneNumberFromString } from 'libphonenumber-js';
import type { Source } from '../finding.ts';
import { isAlphanumeric, isDigit } from '../text/characters.ts';
import { wordsAfter, wordsBefore } from '../text/context.ts';
import type { DigitRow } from '../text/digit-rows.ts';
import { goesOnFrom } from '../text/words.ts';

/** E.164 allows 15 digits in all; shorter than seven is a short code, an amount or a year. */
const DIGITS_MIN = 7;
const DIGITS_MAX = 15;
const DIGITS_USUAL = 13;
const GROUPS_MAX = 8;
/** A line of more groups than this is a table, whatever word stands before it. */
const TABLE_MIN = 24;
const EXTENSION_MAX = 24;
const IBAN_MAX = 40;
const CALLING_CODES: ReadonlySet<string> = new Set(
  getCountries().map((country) => getCountryCallingCode(country)),
);

const COUNTRIES = ['GB', 'DE', 'FR', 'JP', 'IT', 'NL', 'AU', 'ZA', 'KR', 'PL', 'TR', 'ID'] as const;
const PHONE_WORDS =
  /phone|telefon|téléphone|teléfono|\btel\b|mobile?\b|m[óo]vil|celular|\bcell|handy|fax|\bcall(?:ed|ing|s)?\b|\bdial|\bring\b|reach|answering|\bsms\b|\btexte?d?\b|whatsapp|hotline|messages?\b|\bdesk\b|\boffice\b|landline|rufnummer|contact/;
const PHONE_WORDS_AFTER =
  /^[\s,;:("'.–-]{0,3}(?:office|fax|mobile|cell|home|work|desk|phone|tel|direct)\b/;
const OTHER_NUMBER_WORDS =
  /\b(?:id|order|ticket|account|acct|invoice|case|ref|reference|zip|postal|postcode|isbn|sku|version|port|pin|code|box|room|apt|suite|serial|iban|card|amount|total|price|size|bytes|ssn)[\s#:.=№no"']{0,6}$/;
const DATE =
  /^(?:(?:19|20)\d\d([-./ ])\d{1,2}\1\d{1,2}|\d{1,2}([-./ ])\d{1,2}\2(?:19|20)\d\d)(?:\D\d{1,2})?$/;
const EXTENSION = /^[ \t]{0,2}(?:x|ext\.?|extn\.?|extension|#)[ :.]{0,2}\d{1,7}(?![a-z\d])/i;

/** A phone number in a row: its groups, and its place in the text with `+`, `(` and extension. */
export interface Phone {
  /** Index after the last group. */
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The phone number that starts at group `from` of a row and ends before group `limit`.
 *
 * Written with `+` or `00` and a country's calling code it stands for itself, as do ten digits
 * grouped 3-3-4 and national numbers that start with 0; others need a word such as "call" or
 * "fax" beside them. Where several lengths fit, libphonenumber says which is possible.
 */
export function phoneAt(source: Source, row: DigitRow, from: number, limit: number): Phone | null {
  if (!hasDigits(row, from, limit)) return null;
  const start = startOf(row, from);
  const to =
    row.text[start] === '+' || row.text[start + 1] === '+'
      ? endOfInternational(row, from, limit, 0)
      : endOfNational(source, row, from, limit);
  if (to === from) return null;
  const end = endWithExtension(row.text, row.ends[to - 1] as number);
  return end < 0 ? null : { to, start, end };
}

/** The groups from here on have seven digits: looks no further than it must. */
function hasDigits(row: DigitRow, from: number, limit: number): boolean {
  let digits = 0;
  for (let at = from; at < limit && digits < DIGITS_MIN; at += 1) digits += size(row, at);
  return digits >= DIGITS_MIN;
}

/** Takes `+`, `(`, `(+` and `+(` before the first group in. */
function startOf({ text, starts }: DigitRow, from: number): number {
  const first = starts[from] as number;
  let at = first;
  while (at > 0 && first - at < 2 && '+('.includes(text[at - 1] as string)) at -= 1;
  return at;
}

/** The longest possible number, else the longest that the row offers. */
function endOfInternational(row: DigitRow, from: number, limit: number, skip: number): number {
  const ends = endsWithin(row, from, limit, skip);
  const longest = ends[0];
  if (longest === undefined) return from;
  const digits = digitsOf(row, from, longest).slice(skip);
  const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((c) => CALLING_CODES.has(c));
  if (code === undefined) return from;
  if (code === '1') return ends.find((to) => digitCount(row, from, to) - skip === 11) ?? from;
  // The whole row, and not too long: nothing to choose.
  if (ends.length === 1 || (longest === limit && digits.length <= DIGITS_USUAL)) return longest;
  return ends.find((to) => isPossible(digitsOf(row, from, to).slice(skip))) ?? longest;
}

/** `0049 711 …`: the same digits may start an order number, so a long one must be possible. */
function endOfDialled(source: Source, row: DigitRow, from: number, limit: number): number {
  const to = endOfInternational(row, from, limit, 2);
  if (to === from) return from;
  const digits = digitsOf(row, from, to).slice(2);
  if (digits.length > DIGITS_USUAL && !isPossible(digits)) return from;
  const words = wordsBefore(source, row.starts[from] as number);
  return OTHER_NUMBER_WORDS.test(words) || words.includes('arn:') ? from : to;
}

function isPossible(digits: string): boolean {
  return parsePhoneNumberFromString(`+${digits}`)?.isPossible() ?? false;
}

/** Group indices at which a number of 7–15 digits can end, longest first. */
function endsWithin(row: DigitRow, from: number, limit: number, skip: number): number[] {
  const ends: number[] = [];
  let digits = -skip;
  for (let at = from; at < limit && digits <= DIGITS_MAX; at += 1) {
    digits += size(row, at);
    if (digits >= DIGITS_MIN && digits <= DIGITS_MAX) ends.unshift(at + 1);
  }
  return ends;
}

function endOfNational(source: Source, row: DigitRow, from: number, limit: number): number {
  const start = row.starts[from] as number;
  if (goesOnFrom(row.text, start) || isInFraction(row.text, start)) return from;
  if (isPairOfHex(row, limit)) return from;
  const to = endOfForm(source, row, from, limit);
  return to > from && isInIban(row.text, start) ? from : to;
}

function endOfForm(source: Source, row: DigitRow, from: number, limit: number): number {
  const first = row.text.slice(row.starts[from], row.ends[from]);
  if (first.startsWith('00') && /^00[1-9]/.test(first)) {
    return endOfDialled(source, row, from, limit);
  }
  const grouped = endOfGrouped(row, from, limit);
  if (grouped > from) return grouped;
  const bracketed = endOfBracketed(row, from, limit);
  if (bracketed > from) return bracketed;
  const trunk = endOfTrunk(row, from, limit);
  if (trunk > from) return trunk;
  if (isWholeNumber(source, first)) return from + 1;
  return limit - from > TABLE_MIN ? from : endByContext(source, row, from, limit);
}

/** `DE89 3704 0044 0532 …`: the groups of an account number start with 0 by chance. */
function isInIban(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 2);
  if (!(isDigit(before) || (before >= 65 && before <= 90))) return false;
  const near = text.slice(Math.max(0, start - IBAN_MAX), start - 1);
  if (!/[A-Z]{2}\d/.test(near)) return false;
  const groups = near.split(/[ -]/);
  for (let at = groups.length - 1; at >= 0; at -= 1) {
    const group = groups[at] as string;
    if (/^[A-Z]{2}\d{2}/.test(group)) return true;
    if (!/^[A-Z\d]{1,4}$/.test(group)) return false;
  }
  return false;
}

/** `01-23-45-67-89-AB`: a MAC address whose last byte has letters. */
function isPairOfHex({ text, ends }: DigitRow, limit: number): boolean {
  const end = ends[limit - 1] as number;
  return text[end] === '-' && /^-[\da-f]{2}(?![\da-z])/i.test(text.slice(end, end + 4));
}

function isInFraction(text: string, start: number): boolean {
  return text[start - 1] === '.' && isDigit(text.charCodeAt(start - 2));
}

/** 3-3-4, with a leading 1 or 001 or without: the North American way to write ten digits. */
function endOfGrouped(row: DigitRow, from: number, limit: number): number {
  const lead = isLead(row, from) ? 1 : 0;
  const area = from + lead;
  if (area + 3 > limit) return from;
  if (size(row, area) !== 3 || size(row, area + 1) !== 3 || size(row, area + 2) !== 4) return from;
  if (isJoined(row, area + 2, limit)) return from;
  const gap = row.text.slice(row.ends[area], row.starts[area + 1]);
  const isMarked = /^(?:[-.]|\)[ -]?| - )$/.test(gap);
  return isMarked || isNorthAmerican(row, area) ? area + 3 : from;
}

/** `(11) 98765-4321`, `8 (495) 123-45-67`: an area code in brackets, and 7–9 digits behind it. */
function endOfBracketed(row: DigitRow, from: number, limit: number): number {
  const { text, starts, ends } = row;
  const area = from + (size(row, from) === 1 ? 1 : 0);
  if (area + 2 >= limit || text[(starts[area] as number) - 1] !== '(') return from;
  const gap = text.slice(ends[area], starts[area + 1]);
  const isYear = /^(?:19|20)\d\d$/.test(text.slice(starts[area], ends[area]));
  if (isYear || size(row, area) > 4 || size(row, area) < 2 || !/^\) ?$/.test(gap)) return from;
  const to = Math.min(limit, area + 4);
  const digits = digitCount(row, area + 1, to);
  const isWhole = to === limit || !isJoined(row, to - 1, limit);
  return digits >= 7 && digits <= 9 && isWhole ? to : from;
}

/** The calling code of North America, `1`, or `001`. */
function isLead({ text, starts, ends }: DigitRow, group: number): boolean {
  const start = starts[group] as number;
  const length = (ends[group] as number) - start;
  return (length === 1 && text[start] === '1') || (length === 3 && text.startsWith('001', start));
}

/** Area and exchange codes never start with 0 or 1. */
function isNorthAmerican({ text, starts }: DigitRow, area: number): boolean {
  return (
    (text[starts[area] as number] as string) > '1' &&
    (text[starts[area + 1] as number] as string) > '1'
  );
}

/** A further group follows directly: the row is longer than the number looks. */
function isJoined(row: DigitRow, last: number, limit: number): boolean {
  return last + 1 < limit && row.starts[last + 1] === (row.ends[last] as number) + 1;
}

/**
 * A national number with its trunk prefix 0, in two groups or more, 9–11 digits; not a decimal
 * fraction, a date or what has the shape of a social security number.
 */
function endOfTrunk(row: DigitRow, from: number, limit: number): number {
  if (row.text.charCodeAt(row.starts[from] as number) !== 48) return from;
  const first = row.text.slice(row.starts[from], row.ends[from]);
  if (!/^0[1-9]\d{0,4}$/.test(first) || limit - from < 2 || limit - from > GROUPS_MAX) return from;
  const digits = digitCount(row, from, limit);
  const number = row.text.slice(row.starts[from], row.ends[limit - 1]);
  if (isZip(row, from, number)) return from;
  const isOther = /^(?:\d+\.\d+|\d{3}[ -]\d{2}[ -]\d{4})$/.test(number) || DATE.test(number);
  // Mobile numbers of Indonesia have twelve.
  const digitsMax = /^08\d\d$/.test(first) ? 12 : 11;
  return digits >= 9 && digits <= digitsMax && !isOther ? limit : from;
}

/** `IL 05869-8655`: nine digits behind a state. */
function isZip({ text, starts }: DigitRow, from: number, number: string): boolean {
  if (!/^\d{5}-\d{4}$/.test(number)) return false;
  const start = starts[from] as number;
  return /(?:^|[^A-Za-z])[A-Z]{2},? $/.test(text.slice(Math.max(0, start - 5), start));
}

/**
 * A value that is one national number and nothing else, valid in one of the larger countries, and
 * not held by a key that says otherwise.
 */
function isWholeNumber({ text, hint }: Source, number: string): boolean {
  if (!/^0[1-9]\d{8,10}$/.test(number) || text.trim() !== number || hint !== '') return false;
  return COUNTRIES.some((country) => parsePhoneNumberFromString(number, country)?.isValid());
}

function endByContext(source: Source, row: DigitRow, from: number, limit: number): number {
  const to = endsWithin(row, from, limit, 0)[0];
  if (to === undefined) return from;
  const number = row.text.slice(row.starts[from], row.ends[to - 1]);
  if (DATE.test(number) || /^(?:19|20)\d\d\D/.test(number) || /^\d+\.\d+$/.test(number))
    return from;
  if (PHONE_WORDS_AFTER.test(wordsAfter(source, row.ends[to - 1] as number))) return to;
  const words = wordsBefore(source, row.starts[from] as number);
  return PHONE_WORDS.test(words) && !OTHER_NUMBER_WORDS.test(words) ? to : from;
}

/** The end with an extension such as `x123`; -1 when the number runs on into a word. */
function endWithExtension(text: string, end: number): number {
  const extension = EXTENSION.exec(text.slice(end, end + EXTENSION_MAX));
  if (extension) return end + extension[0].length;
  return isAlphanumeric(text.charCodeAt(end)) ? -1 : end;
}

function size(row: DigitRow, group: number): number {
  return (row.ends[group] as number) - (row.starts[group] as number);
}

function digitCount(row: DigitRow, from: number, to: number): number {
  let digits = 0;
  for (let at = from; at < to; at += 1) digits += size(row, at);
  return digits;
}

function digitsOf(row: DigitRow, from: number, to: number): string {
  return row.text.slice(row.starts[from], row.ends[to - 1]).replace(/\D/g, '');
}
