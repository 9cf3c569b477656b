import type { Source } from '../finding.ts';
import { isAlphanumeric } from '../text/characters.ts';
import { wordsBefore } from '../text/context.ts';
import { type DigitRow, uniformGap } from '../text/digit-rows.ts';
import { goesOnFrom } from '../text/words.ts';

const SSN_WORDS =
  /\bssn|\bs\.s\.n\b|\bsoc(?:ial)?\b.?.?sec|social.?sec|\bss(?:[ #_-]?n(?:o|um)| ?#)|sozialvers/;

/**
 * Index after the last group of the US social security number that starts at group `from`; `from`
 * when there is none. Written 3-2-4 with one separator it needs no word beside it; any other way
 * (nine digits in a row, 3-6, 5-4) it does, since zip codes and identifiers look the same.
 * Areas 000, 666 and 9xx, group 00 and serial 0000 were never issued.
 *
 * @see https://www.ssa.gov/employer/randomization.html
 */
export function endOfSsn(source: Source, row: DigitRow, from: number): number {
  const to = lastGroup(row, from);
  if (to < 0 || !isIssued(digitsOf(row, from, to)) || isGlued(row, from, to)) return from;
  if (to - from === 2 && isAlone(row, from, to)) return to + 1;
  return SSN_WORDS.test(wordsBefore(source, row.starts[from] as number)) ? to + 1 : from;
}

/** The group that completes nine digits in a known grouping, or -1. */
function lastGroup(row: DigitRow, from: number): number {
  const first = size(row, from);
  if (first === 9) return from;
  if (from + 1 >= row.length || uniformGap(row, from, from + 1) === undefined) return -1;
  const second = size(row, from + 1);
  if ((first === 3 && second === 6) || (first === 5 && second === 4)) return from + 1;
  if (first !== 3 || second !== 2 || from + 2 >= row.length || size(row, from + 2) !== 4) return -1;
  const gap = uniformGap(row, from, from + 2);
  return gap !== undefined && /^(?: ?[-./_] ?| )$/.test(gap) ? from + 2 : -1;
}

function size(row: DigitRow, group: number): number {
  return (row.ends[group] as number) - (row.starts[group] as number);
}

function digitsOf(row: DigitRow, from: number, to: number): string {
  return row.text.slice(row.starts[from], row.ends[to]).replace(/\D/g, '');
}

function isIssued(digits: string): boolean {
  return (
    !/^(?:000|666|9)/.test(digits) && digits.slice(3, 5) !== '00' && digits.slice(5) !== '0000'
  );
}

function isGlued({ text, starts, ends }: DigitRow, from: number, to: number): boolean {
  return (
    goesOnFrom(text, starts[from] as number) || isAlphanumeric(text.charCodeAt(ends[to] as number))
  );
}

/** No further group follows or precedes at the same separator, and no `+` leads the row. */
function isAlone(row: DigitRow, from: number, to: number): boolean {
  const gap = uniformGap(row, from, to);
  if (from > 0 && uniformGap(row, from - 1, from) === gap) return false;
  if (to + 1 < row.length && uniformGap(row, to, to + 1) === gap) return false;
  return row.text[(row.starts[from] as number) - 1] !== '+';
}
