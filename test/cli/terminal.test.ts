import { expect, test } from 'vitest';
import { oneLine, printable, processTerminal } from '../../src/cli/terminal.ts';

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

test('the terminal of this process writes, flushes, and listens only while it is asked to', async () => {
  const terminal = processTerminal();
  const before = process.listenerCount('SIGTERM');
  const heard: string[] = [];
  const forget = terminal.onInterrupt((signal) => heard.push(signal));
  expect(process.listenerCount('SIGTERM')).toBe(before + 1);
  process.emit('SIGTERM', 'SIGTERM');
  forget();
  expect(process.listenerCount('SIGTERM')).toBe(before);
  expect(heard).toEqual(['SIGTERM']);
  terminal.out('');
  terminal.err('');
  await terminal.flush();
});

test('a reader that went away is no failure of the terminal, a full disk is one', async () => {
  const terminal = processTerminal();
  process.stdout.emit('error', Object.assign(new Error('x'), { code: 'EPIPE' }));
  await terminal.flush();
  process.stdout.emit('error', Object.assign(new Error('x'), { code: 'ENOSPC' }));
  await expect(terminal.flush()).rejects.toThrow('standard output cannot be written (ENOSPC)');
});
