import type { PiiCategory } from '../categories.ts';
import type { Detector, Finding, Source } from '../finding.ts';
import { type DigitRow, forEachDigitRow } from '../text/digit-rows.ts';
import { endOfCard } from './credit-card.ts';
import { endOfIpV4, networkSuffixLength } from './ip-v4.ts';
import { phoneAt } from './phone.ts';
import { endOfSsn } from './ssn.ts';

const PHONE_DIGITS_MIN = 7;

type EndOf = (source: Source, row: DigitRow, from: number) => number;

/** In order of certainty: a number that one of these takes is not offered to the next. */
const EXACT: readonly ExactKind[] = [
  { category: 'credit_card', endOf: endOfCard, digitsMin: 12 },
  { category: 'ip_address', endOf: endOfIpV4, digitsMin: 4 },
  { category: 'ssn', endOf: endOfSsn, digitsMin: 9 },
];

interface ExactKind {
  readonly category: PiiCategory;
  readonly endOf: EndOf;
  /** Fewer digits in the whole row rule it out. */
  readonly digitsMin: number;
}

/**
 * A detector for everything that is made of digit groups: cards, IPv4 addresses, social security
 * numbers and phone numbers.
 *
 * @param categories - those to report; the others are not looked for
 */
export function numberDetector(categories: readonly PiiCategory[]): Detector {
  const exact = EXACT.filter(({ category }) => categories.includes(category));
  const withPhones = categories.includes('phone');
  return (source, found) => {
    forEachDigitRow(source.text, (row) => {
      let free = 0;
      for (let at = 0; at < row.length; at += 1) {
        const exactly = exactAt(source, row, at, exact);
        if (exactly === null) continue;
        if (withPhones) findPhones(source, row, free, at, found);
        found.push(exactly.finding);
        at = exactly.to - 1;
        free = exactly.to;
      }
      if (withPhones) findPhones(source, row, free, row.length, found);
    });
  };
}

interface ExactMatch {
  readonly finding: Finding;
  /** Index after its last group. */
  readonly to: number;
}

function exactAt(
  source: Source,
  row: DigitRow,
  at: number,
  exact: readonly ExactKind[],
): ExactMatch | null {
  for (const { category, endOf, digitsMin } of exact) {
    if (row.digits < digitsMin) continue;
    const to = endOf(source, row, at);
    if (to === at) continue;
    const end = row.ends[to - 1] as number;
    const suffix = category === 'ip_address' ? networkSuffixLength(row.text, end, 32) : 0;
    const start = row.starts[at] as number;
    return { finding: { category, start, end: end + suffix }, to };
  }
  return null;
}

/** Looks for phone numbers in groups `from`–`limit`, line by line. */
function findPhones(
  source: Source,
  row: DigitRow,
  from: number,
  limit: number,
  found: Finding[],
): void {
  if (row.digits < PHONE_DIGITS_MIN) return;
  for (let line = from; line < limit; ) {
    const lineEnd = endOfLine(row, line, limit);
    for (let at = line; at < lineEnd; ) {
      const phone = isStart(row, at, line) ? phoneAt(source, row, at, lineEnd) : null;
      if (phone) found.push({ category: 'phone', start: phone.start, end: phone.end });
      at = phone ? phone.to : at + 1;
    }
    line = lineEnd;
  }
}

/** Numbers do not go on over a line break, a tab or a second `+`. */
function endOfLine(row: DigitRow, from: number, limit: number): number {
  let at = from + 1;
  while (at < limit && !hasBreak(row, at)) at += 1;
  return at;
}

function hasBreak({ text, starts, ends }: DigitRow, group: number): boolean {
  for (let at = ends[group - 1] as number; at < (starts[group] as number); at += 1) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 43) return true;
  }
  return false;
}

/** A number starts a row or stands after a space, not after a hyphen within a longer number. */
function isStart(row: DigitRow, at: number, first: number): boolean {
  if (at === first) return true;
  const start = row.starts[at] as number;
  return (
    start - (row.ends[at - 1] as number) !== 1 || !'-.)/_'.includes(row.text[start - 1] ?? ' ')
  );
}
