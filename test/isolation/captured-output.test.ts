import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CapturedOutput } from '../../src/isolation/captured-output.ts';

test('keeps the first bytes of the whole, however it is cut', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 50 }));
  fc.assert(
    fc.property(chunks, fc.nat(300), (parts, bytesMax) => {
      const output = new CapturedOutput(bytesMax);
      const fitted = parts.map((part) => output.push(part));
      const whole = Buffer.concat(parts);
      expect(output.text()).toBe(whole.subarray(0, bytesMax).toString('utf8'));
      expect(output.bytes).toBe(Math.min(whole.length, bytesMax));
      expect(fitted.includes(false)).toBe(whole.length > bytesMax);
    }),
  );
});

test('keeps nothing where nothing is allowed, and takes an empty chunk', () => {
  const output = new CapturedOutput(0);
  expect(output.push(Buffer.alloc(0))).toBe(true);
  expect(output.push(Buffer.from('x'))).toBe(false);
  expect(output.text()).toBe('');
});

test('joins a character that was split over chunks', () => {
  const output = new CapturedOutput(100);
  for (const byte of Buffer.from('a😀b')) output.push(Buffer.from([byte]));
  expect(output.text()).toBe('a😀b');
});

test('does not keep the memory of the chunks it was given', () => {
  const output = new CapturedOutput(100);
  const chunk = Buffer.from('before');
  output.push(chunk);
  chunk.fill('x');
  expect(output.text()).toBe('before');
});
