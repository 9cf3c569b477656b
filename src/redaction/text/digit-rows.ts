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
const GAP: Uint8Array = Uint8Array.from({ length: 96 }, (_, code) =>
  ' -.()/+_\n\r\t'.includes(String.fromCharCode(code)) ? 1 : 0,
);

/** Shorter rows are numbers of no interest, unless they are four groups, as in an IP address. */
const DIGITS_MIN = 7;
const GROUPS_MIN = 4;

/**
 * Calls `visit` for every row of digit groups with seven digits or four groups at least.
 * One pass; every character is looked at a bounded number of times.
 */
export function forEachDigitRow(text: string, visit: (row: DigitRow) => void): void {
  const starts: number[] = [];
  const ends: number[] = [];
  let length = 0;
  let digits = 0;
  const flush = () => {
    if (digits >= DIGITS_MIN || length >= GROUPS_MIN) visit({ text, length, digits, starts, ends });
    length = 0;
    digits = 0;
  };
  for (let at = nextDigit(text, 0); at < text.length; ) {
    const end = groupEnd(text, at);
    if (length > 0 && !isGap(text, ends[length - 1] as number, at)) flush();
    starts[length] = at;
    ends[length] = end;
    length += 1;
    digits += end - at;
    at = nextDigit(text, end);
  }
  flush();
}

function nextDigit(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isDigit(text.charCodeAt(at))) at += 1;
  return at;
}

function groupEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && isDigit(text.charCodeAt(at))) at += 1;
  return at;
}

function isGap(text: string, from: number, to: number): boolean {
  if (to - from > GAP_MAX) return false;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 95 || GAP[code] === 0) return false;
  }
  return true;
}

/**
 * The one separator that stands between all groups `from`–`to` of a row: a single character or a
 * line break; `undefined` when they differ or are longer.
 */
export function uniformGap(row: DigitRow, from: number, to: number): string | undefined {
  const gap = row.text.slice(row.ends[from], row.starts[from + 1]);
  if (gap.length !== 1 && gap !== '\r\n') return undefined;
  for (let at = from + 1; at < to; at += 1) {
    if (row.text.slice(row.ends[at], row.starts[at + 1]) !== gap) return undefined;
  }
  return gap;
}
