import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  depthOf,
  presortedJson,
  wellFormed,
} from '../../src/audit/canonical-json.ts';
import type { Json } from '../../src/call.ts';
import { vectors } from './vectors.ts';

const published = vectors<{
  cases: { name: string; input: string; output: string; outhex: string }[];
}>('jcs-rfc8785').cases;

describe('published RFC 8785 cases', () => {
  test('are all there', () => expect(published).toHaveLength(6));
  test.each(published)('$name', ({ input, output, outhex }) => {
    const text = canonicalJson(JSON.parse(input));
    expect(text).toBe(output);
    expect(Buffer.from(text).toString('hex')).toBe(outhex);
  });
});

test('agrees with an independent implementation', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      fc.pre(!/\p{Cs}/u.test(JSON.stringify(value)) && !JSON.stringify(value).includes('\\ud'));
      expect(canonicalJson(value as Json)).toBe(canonicalize(value));
    }),
  );
});

test('makes every string well-formed, also in keys', () => {
  expect(canonicalJson({ 'a\ud800': 'b\udfff', ok: '\ud83d\ude00' })).toBe(
    '{"a\ufffd":"b\ufffd","ok":"\ud83d\ude00"}',
  );
  expect(presortedJson({ a: 'x\ud800' })).toBe('{"a":"x\ufffd"}');
  expect(presortedJson({ a: '\\ud800' })).toBe('{"a":"\\\\ud800"}');
  expect(wellFormed('\udc00\ud83d\ude00\ud83d')).toBe('\ufffd\ud83d\ude00\ufffd');
});

test('writes no key twice when two keys become the same', () => {
  expect(canonicalJson({ '\ud800': 1, '\ud801': 2 })).toBe('{"\ufffd":2}');
});

test('writes numbers that JSON does not have as null', () => {
  expect(canonicalJson([Number.NaN, Infinity, -0, 1e21])).toBe('[null,null,0,1e+21]');
});

test('measures nesting up to a bound', () => {
  expect(depthOf(1, 9)).toBe(0);
  expect(depthOf([], 9)).toBe(1);
  expect(depthOf([[1], { a: [[]] }], 9)).toBe(4);
  expect(depthOf([[[[[]]]]], 3)).toBe(4);
});
