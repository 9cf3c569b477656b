import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileLinearPattern } from '../../src/policy/index.ts';
import { CHECK_WORK_MAX, compilePatternSet } from '../../src/policy/pattern-set.ts';

describe('a pattern', () => {
  test.each<[string, string]>([
    ['(?=a)', 'is not a pattern in RE2 syntax'],
    ['(a)\\1', 'is not a pattern in RE2 syntax'],
    ['(a', 'is not a pattern in RE2 syntax'],
    ['a'.repeat(1001), 'has 1001 characters'],
    ['((a{1,100}){1,100}){1,100}', 'invalid repeat count'],
    ['(abcdefghij){300}', 'repeats too much'],
  ])('%s does not compile', (source, message) => {
    expect(() => compileLinearPattern(source)).toThrow(message);
  });

  test.each<[string, string, number]>([
    ['a literal', 'prod-db', 1_000_000],
    ['a few sets', '(?i)rm\\s+-rf|;\\s*sudo|&&\\s*curl', 1_000_000],
    ['an e-mail address', '[A-Za-z0-9._-]+@[a-z0-9-]+\\.[a-z]+', 1_000_000],
    ['nested stars', '(a+)+$', 1_000_000],
    ['counted sets', '[01]*1[01]{20}$', 50_000],
    ['a counted group', '((a|b){10}){5}c', 50_000],
  ])('%s sees texts up to its bound', (_, source, length) => {
    const pattern = compileLinearPattern(source);
    expect(pattern.test('x'.repeat(length))).toBe(false);
    expect(() => pattern.test('x'.repeat(2_500_000))).toThrow(RangeError);
  });
});

describe('a set of patterns', () => {
  const sources = [
    'prod-db',
    'a.*b',
    '(?i)SECRET',
    'x[0-9]{2}',
    'rm\\s+-rf',
    '[ab]+c',
    '^start',
    'end$',
    '\\bword\\b',
    'a|b{2,}',
  ];

  test('finds what each pattern finds alone', () => {
    const set = compilePatternSet(sources);
    const alone = sources.map(compileLinearPattern);
    const pieces = fc.constantFrom(
      'prod',
      '-db',
      'a',
      'b',
      'secret',
      'x',
      '1',
      '23',
      'rm',
      ' ',
      '-rf',
      'c',
      'start',
      'end',
      'word',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const expected = alone.flatMap((pattern, index) => (pattern.test(text) ? [index] : []));
        expect(set.match(text, { left: CHECK_WORK_MAX })).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('refuses more work than its budget over all texts together', () => {
    const set = compilePatternSet(Array.from({ length: 500 }, (_, index) => `a.*b${index}`));
    const budget = { left: CHECK_WORK_MAX };
    expect(() => {
      for (let index = 0; index < 100; index++) set.match('x'.repeat(1000), budget);
    }).toThrow('the texts are too long for the patterns');
  });

  test('of nothing finds nothing', () => {
    expect(compilePatternSet([]).match('x', { left: 1 })).toEqual([]);
  });
});
