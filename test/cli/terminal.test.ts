import { expect, test } from 'vitest';
import { oneLine, printable } from '../../src/cli/terminal.ts';

test.each([
  ['\u001b[31mred', '\\x1b[31mred'],
  ['a\rb', 'a\\x0db'],
  ['bell\u0007', 'bell\\x07'],
  ['c1 \u009b31m', 'c1 \\x9b31m'],
  ['\u0000', '\\x00'],
  ['\u007f', '\\x7f'],
  ['file\u202egpj.exe', 'file\\u202egpj.exe'],
  ['\u2066x\u2069', '\\u2066x\\u2069'],
  ['line\n\ttab', 'line\n\ttab'],
  ['é😀 ünï', 'é😀 ünï'],
])('shows %j as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test.each([
  ['a\nb\r\nc', 'a b c'],
  ['\u001b]0;title\u0007x', ']0;title x'],
  ['a\u2028b\u2029c', 'a b c'],
  ['  x\n', 'x'],
  ['a\u202eb', 'a b'],
])('keeps %j on one line as %j', (text, line) => {
  expect(oneLine(text)).toBe(line);
});
