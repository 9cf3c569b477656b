import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { detect } from '../../../src/redaction/index.ts';
import { VENDOR_TOKENS } from '../../../src/redaction/tokens/vendor-tokens.ts';

interface Vector {
  readonly vendor: string;
  /** In pieces, so that no scanner takes this file for a leak. */
  readonly pieces: readonly string[];
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync('test/vectors/vendor-tokens.json', 'utf8'),
);

test('every vendor has a vector, and no vendor is there twice', () => {
  const vendors = VENDOR_TOKENS.map(({ vendor }) => vendor);
  expect(new Set(vendors).size).toBe(vendors.length);
  expect(VECTORS.map(({ vendor }) => vendor).sort()).toEqual([...vendors].sort());
});

test('every prefix has the three characters that the prefilter needs', () => {
  for (const { prefixes } of VENDOR_TOKENS) {
    for (const prefix of prefixes) expect(prefix).toMatch(/^[ -~]{3,}$/);
  }
});

describe.each(VECTORS)('$vendor', ({ vendor, pieces }) => {
  const token = pieces.join('');
  const category = VENDOR_TOKENS.find((row) => row.vendor === vendor)?.category ?? 'vendor_token';
  const rules = { secret_detection: { categories: [category] } };

  test.each([
    ['in a sentence', 'The value ', ' leaked.'],
    ['in quotes', 'x = "', '";'],
    ['on a line of its own', '\n', '\n'],
    ['in brackets', '(', ')'],
  ])('is found %s', (_, before, after) => {
    expect(detect(before + token + after, rules)).toEqual([
      { category, start: before.length, end: before.length + token.length, path: '' },
    ]);
  });

  test('is not seen in its prefix alone', () => {
    for (const prefix of VENDOR_TOKENS.find((row) => row.vendor === vendor)?.prefixes ?? []) {
      expect(detect(`a ${prefix} b`, rules)).toEqual([]);
    }
  });
});
