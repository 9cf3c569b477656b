import { isDigit } from './characters.ts';

/**
 * A maximal row of digit groups: `+1 (415) 867-5309` has the groups 1, 415, 867 and 5309.
 * Arrays are reused between rows; a visitor must not keep them.
 */
export interface DigitRow {
  readonly text: string;
  /** Number of groups. */
  readonly length: number;
  /** Number of digits in all groups. */
  readonly digits: number;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Most characters between two groups of one row: `) - ` has four. */
const GAP_MAX = 4;
const IN_ROW: Uint8Array = Uint8Array.from({ length: 96 }, (_, code) =>
  '0123456789 -.()/+_\n\r\t'.includes(String.fromCharCode(code)) ? 1 : 0,
);

/** Shorter rows are numbers of no interest, unless they are four groups, as in an IP address. */
const DIGITS_MIN = 7;
const GROUPS_MIN = 4;
/** The shortest row: seven digits, or four groups and the three characters between them. */
const LENGTH_MIN = 7;

/**
 * Calls `visit` for every row of digit groups with seven digits or four groups at least.
 * One pass; every character is looked at a bounded number of times.
 */
export function forEachDigitRow(text: string, visit: (row: DigitRow) => void): void {
  const rows = new RowBuilder(text, visit);
  for (let at = nextStretch(text, 0); at >= 0; ) {
    const end = stretchEnd(text, at + LENGTH_MIN);
    rows.addStretch(at, end);
    at = nextStretch(text, end + 1);
  }
}

/** Makes rows of the digits in a stretch, and gives those out that are long enough. */
class RowBuilder {
  readonly #text: string;
  readonly #visit: (row: DigitRow) => void;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #length = 0;
  #digits = 0;

  constructor(text: string, visit: (row: DigitRow) => void) {
    this.#text = text;
    this.#visit = visit;
  }

  addStretch(from: number, to: number): void {
    for (let at = nextDigit(this.#text, from, to); at < to; ) {
      const end = groupEnd(this.#text, at, to);
      this.#add(at, end);
      at = nextDigit(this.#text, end, to);
    }
    this.#giveOut();
  }

  #add(start: number, end: number): void {
    if (this.#length > 0 && start - (this.#ends[this.#length - 1] as number) > GAP_MAX) {
      this.#giveOut();
    }
    this.#starts[this.#length] = start;
    this.#ends[this.#length] = end;
    this.#length += 1;
    this.#digits += end - start;
  }

  #giveOut(): void {
    const length = this.#length;
    const digits = this.#digits;
    this.#length = 0;
    this.#digits = 0;
    if (digits < DIGITS_MIN && length < GROUPS_MIN) return;
    this.#visit({ text: this.#text, length, digits, starts: this.#starts, ends: this.#ends });
  }
}

/**
 * Start of the next `LENGTH_MIN` characters that are all digits or what stands between them, or -1.
 * Looks at the far end first and skips what a letter there rules out.
 */
function nextStretch(text: string, from: number): number {
  let start = from;
  while (start + LENGTH_MIN <= text.length) {
    let at = start + LENGTH_MIN - 1;
    while (at >= start && isInRow(text.charCodeAt(at))) at -= 1;
    if (at < start) return start;
    start = at + 1;
  }
  return -1;
}

function stretchEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && isInRow(text.charCodeAt(at))) at += 1;
  return at;
}

function isInRow(code: number): boolean {
  return code < 96 && IN_ROW[code] === 1;
}

function nextDigit(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && !isDigit(text.charCodeAt(at))) at += 1;
  return at;
}

function groupEnd(text: string, from: number, to: number): number {
  let at = from + 1;
  while (at < to && isDigit(text.charCodeAt(at))) at += 1;
  return at;
}

/** Most characters between the groups of one number: ` - `. */
const UNIFORM_MAX = 3;

/**
 * The one separator that stands between all groups `from`–`to` of a row, of one to three
 * characters; `undefined` when they differ or are longer.
 */
export function uniformGap(row: DigitRow, from: number, to: number): string | undefined {
  const { text, starts, ends } = row;
  const first = ends[from] as number;
  const length = (starts[from + 1] as number) - first;
  if (length > UNIFORM_MAX) return undefined;
  for (let at = from + 1; at < to; at += 1) {
    const next = ends[at] as number;
    if ((starts[at + 1] as number) - next !== length) return undefined;
    for (let index = 0; index < length; index += 1) {
      if (text.charCodeAt(next + index) !== text.charCodeAt(first + index)) return undefined;
    }
  }
  return text.slice(first, first + length);
}
