import { expect, test } from 'vitest';
import { count, hanging, pairs } from '../../src/cli/text-layout.ts';

test('breaks at spaces and indents what follows', () => {
  expect(hanging('aaaa bbbb cccc dddd eeee ffff', 4, 30)).toBe(
    'aaaa bbbb cccc dddd eeee\n    ffff',
  );
  expect(hanging('aaaa bbbb', 4, Infinity)).toBe('aaaa bbbb');
});

test('breaks no word, and is never narrower than a few of them', () => {
  const path = '/a/very/long/path/that/somebody/wants/to/copy';
  expect(hanging(`see ${path} there`, 2, 30)).toBe(`see\n  ${path}\n  there`);
  expect(hanging('aaaa bbbb cccc dddd', 70, 72)).toBe('aaaa bbbb cccc dddd');
});

test('pads first cells to one width', () => {
  expect(
    pairs(
      [
        ['a', 'one'],
        ['long', 'two'],
      ],
      { indent: 1 },
    ),
  ).toBe(' a     one\n long  two\n');
  expect(pairs([])).toBe('');
});

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1234567, '1,234,567'],
])('writes %i as %s', (value, text) => expect(count(value)).toBe(text));
