import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../src/redaction/finding.ts';
import { settleOverlaps } from '../../src/redaction/overlaps.ts';

const ORDER = ['a', 'b', 'c'];
const span = (category: string, start: number, end: number): Finding => ({ category, start, end });
const settle = (...found: Finding[]) => settleOverlaps(found, ORDER);

describe('overlapping findings', () => {
  test('the longest wins, also when it starts later', () => {
    expect(settle(span('a', 0, 5), span('b', 0, 9))).toEqual([span('b', 0, 9)]);
    expect(settle(span('a', 0, 5), span('b', 3, 20))).toEqual([span('b', 0, 20)]);
  });

  test('of equal ones the earlier wins, then the order of categories', () => {
    expect(settle(span('b', 0, 5), span('a', 2, 7))).toEqual([span('b', 0, 7)]);
    expect(settle(span('b', 0, 5), span('a', 0, 5))).toEqual([span('a', 0, 5)]);
  });

  test('neighbours stay apart', () => {
    expect(settle(span('a', 5, 9), span('b', 0, 5))).toEqual([span('b', 0, 5), span('a', 5, 9)]);
  });

  test('a loser between two winners is shared', () => {
    expect(settle(span('a', 0, 10), span('c', 8, 14), span('b', 12, 22))).toEqual([
      span('a', 0, 12),
      span('b', 12, 22),
    ]);
  });
});

test('what was found is covered, nothing else is, and the result is disjoint and in order', () => {
  const findings = fc.array(
    fc.tuple(fc.constantFrom(...ORDER), fc.nat(60), fc.integer({ min: 1, max: 12 })),
    { maxLength: 20 },
  );
  const cells = (all: readonly Finding[]) =>
    new Set(
      all.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, at) => start + at)),
    );
  fc.assert(
    fc.property(findings, (raw) => {
      const found = raw.map(([category, start, length]) => span(category, start, start + length));
      const settled = settleOverlaps(found, ORDER);
      expect(cells(settled)).toEqual(cells(found));
      for (const [index, finding] of settled.entries()) {
        expect(finding.start).toBeGreaterThanOrEqual(settled[index - 1]?.end ?? 0);
      }
    }),
  );
});
