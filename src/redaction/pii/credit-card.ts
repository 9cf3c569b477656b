import { hasLuhnChecksum } from '../checksums.ts';
import type { Source } from '../finding.ts';
import { isAlphanumeric, isDigit } from '../text/characters.ts';
import { wordsBefore } from '../text/context.ts';
import { type DigitRow, uniformGap } from '../text/digit-rows.ts';
import { goesOnFrom } from '../text/words.ts';

/**
 * Issuer ranges: first and last prefix, and the lengths that are issued under it.
 *
 * @see https://en.wikipedia.org/wiki/Payment_card_number (issuer identification numbers)
 */
const ISSUERS: readonly (readonly [first: number, last: number, lengths: readonly number[]])[] = [
  [4, 4, [13, 16, 19]], // Visa
  [51, 55, [16]], // Mastercard
  [2221, 2720, [16]],
  [34, 34, [15]], // American Express
  [37, 37, [15]],
  [6011, 6011, [16, 17, 18, 19]], // Discover
  [644, 649, [16, 17, 18, 19]],
  [65, 65, [16, 17, 18, 19]],
  [300, 305, [14, 16, 17, 18, 19]], // Diners Club
  [3095, 3095, [14, 16, 17, 18, 19]],
  [36, 36, [14, 15, 16, 17, 18, 19]],
  [38, 39, [14, 16, 17, 18, 19]],
  [3528, 3589, [16, 17, 18, 19]], // JCB
  [2131, 2131, [15]],
  [1800, 1800, [15]],
  [62, 62, [16, 17, 18, 19]], // UnionPay
  [81, 81, [16, 17, 18, 19]],
  [5018, 5018, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [5020, 5020, [12, 13, 14, 15, 16, 17, 18, 19]],
  [5038, 5038, [12, 13, 14, 15, 16, 17, 18, 19]],
  [5893, 5893, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6304, 6304, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6759, 6759, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6761, 6763, [12, 13, 14, 15, 16, 17, 18, 19]],
  [2200, 2204, [16, 17, 18, 19]], // Mir
  [508, 508, [16]], // RuPay
  [60, 60, [16]],
  [82, 82, [16]],
  [506, 507, [16, 19]], // Verve, Elo
  [509, 509, [16]],
  [636, 636, [16]],
  [5019, 5019, [16]], // Dankort
  [67, 67, [16, 17, 18, 19]], // Maestro and national debit cards
  [8600, 8600, [16]], // UzCard
  [9860, 9860, [16]], // Humo
  [9792, 9792, [16]], // Troy
];

const PREFIX_DIGITS = 4;
/** For every first four digits a set of lengths: bit `n` is set when numbers of `n` digits exist. */
const LENGTHS: Uint32Array = lengthsByPrefix();

function lengthsByPrefix(): Uint32Array {
  const table = new Uint32Array(10 ** PREFIX_DIGITS);
  for (const [first, last, lengths] of ISSUERS) {
    const scale = 10 ** (PREFIX_DIGITS - String(first).length);
    const bits = lengths.reduce((set, length) => set | (1 << length), 0);
    for (let prefix = first * scale; prefix < (last + 1) * scale; prefix += 1) {
      table[prefix] = (table[prefix] as number) | bits;
    }
  }
  return table;
}

/** How printed cards group their digits; a last group may follow the usual four by four. */
const LAYOUTS: readonly RegExp[] = [/^4444[123]?$/, /^465$/, /^464$/, /^444[123]$/, /^1{13,19}$/];
const DIGITS_MIN = 12;
const DIGITS_MAX = 19;
const GROUPS_MAX = 8;
const CARD_WORDS =
  /card|visa|mastercard|amex|maestro|kreditkarte|carte|tarjeta|carta|\bpan\b|\bcc\b/;

/**
 * Index after the last group of the payment card number that starts at group `from` of the row;
 * `from` when there is none. A number counts when its issuer prefix, its length and its Luhn
 * digit fit; after a word like "card" any issuer and any grouping do.
 */
export function endOfCard(source: Source, row: DigitRow, from: number): number {
  if (isGluedBefore(row, from)) return from;
  const limit = size(row, from) === 1 ? endOfSingles(row, from) : from + GROUPS_MAX;
  let digits = 0;
  for (let to = from; to < Math.min(limit, row.length) && digits < DIGITS_MAX; to += 1) {
    digits += (row.ends[to] as number) - (row.starts[to] as number);
    if (digits < DIGITS_MIN || digits > DIGITS_MAX || isGluedAfter(row, to)) continue;
    if (isCard(source, row, from, to)) return to + 1;
  }
  return from;
}

/** `4 1 1 1 …`: a row of single digits counts as a whole, from its first one. */
function endOfSingles(row: DigitRow, from: number): number {
  if (from > 0 && size(row, from - 1) === 1) return from;
  let to = from;
  while (to < row.length && to - from <= DIGITS_MAX && size(row, to) === 1) to += 1;
  return to - from > DIGITS_MAX ? from : to;
}

function isCard(source: Source, row: DigitRow, from: number, to: number): boolean {
  if (from !== to && uniformGap(row, from, to) === undefined) return false;
  const number = row.text.slice(row.starts[from], row.ends[to]);
  if (!hasLuhnChecksum(number)) return false;
  const digits = number.replace(/\D/g, '');
  if (/^(\d)\1*$/.test(digits)) return false;
  if (isIssued(digits) && (from === to || isPrinted(row, from, to))) return true;
  return CARD_WORDS.test(wordsBefore(source, row.starts[from] as number));
}

function isIssued(digits: string): boolean {
  const lengths = LENGTHS[Number(digits.slice(0, PREFIX_DIGITS))] as number;
  return (lengths & (1 << digits.length)) !== 0;
}

/** Grouped as on a card, and not a cut from a longer table of four-digit numbers. */
function isPrinted(row: DigitRow, from: number, to: number): boolean {
  let layout = '';
  for (let at = from; at <= to; at += 1) layout += String(size(row, at));
  if (!LAYOUTS.some((known) => known.test(layout))) return false;
  return !(isNeighbour(row, from - 1, from) || isNeighbour(row, to, to + 1));
}

function isNeighbour(row: DigitRow, left: number, right: number): boolean {
  if (left < 0 || right >= row.length) return false;
  return (
    uniformGap(row, left, right) !== undefined && size(row, left) === 4 && size(row, right) === 4
  );
}

function size(row: DigitRow, group: number): number {
  return (row.ends[group] as number) - (row.starts[group] as number);
}

/** Part of a word, an identifier or a decimal fraction. */
function isGluedBefore({ text, starts }: DigitRow, group: number): boolean {
  const at = starts[group] as number;
  if (goesOnFrom(text, at)) return true;
  const before = text.charCodeAt(at - 1);
  return (
    (before === 46 || before === 44) && isDigit(text.charCodeAt(at - 2)) && !isLong(text, at - 2)
  );
}

/** True when the digits that end at `at` are a group of four, as before a dot in 4539.5787. */
function isLong(text: string, at: number): boolean {
  return isDigit(text.charCodeAt(at - 3)) && !isDigit(text.charCodeAt(at - 4));
}

function isGluedAfter({ text, ends }: DigitRow, group: number): boolean {
  return isAlphanumeric(text.charCodeAt(ends[group] as number));
}
