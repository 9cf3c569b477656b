import { expect, test } from 'vitest';
import { parseDuration, parseSize } from '../../src/cli/quantity.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['5', 5000],
  ['1.5s', 1500],
  ['0.001s', 1],
  [' 2 M ', 120_000],
])('reads the duration %j as %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each([
  ['64mb', 64 * 2 ** 20],
  ['1gb', 2 ** 30],
  ['512KB', 512 * 2 ** 10],
  ['7b', 7],
  ['256', 256 * 2 ** 20],
  ['0.5mb', 2 ** 19],
])('reads the size %j as %i bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each([
  '',
  '0',
  '-5s',
  '5 s s',
  '5d',
  'soon',
  '1e9s',
  '0.0001ms',
  '9'.repeat(30),
  '5constructor',
  '.5s',
])('refuses %j for both', (text) => {
  const usage = expect.objectContaining({ code: 'ENF_CLI_USAGE' });
  expect(() => parseDuration(text)).toThrow(usage);
  expect(() => parseSize(text)).toThrow(usage);
});

test('quotes no more than the beginning of what it refuses', () => {
  expect(() => parseSize('x'.repeat(10_000))).toThrow(/^.{1,150}$/);
});
