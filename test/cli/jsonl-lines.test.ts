import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type TextLine, textLines } from '../../src/cli/jsonl-lines.ts';

async function linesOf(chunks: Iterable<Uint8Array>, bytesMax?: number): Promise<TextLine[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const lines: TextLine[] = [];
  for await (const line of textLines(source(), bytesMax)) lines.push(line);
  return lines;
}

test('numbers lines, leaves blank ones out, and takes a last one without its end', async () => {
  expect(await linesOf([Buffer.from('a\n\n \r\nb\r\nc')])).toEqual([
    { number: 1, text: 'a' },
    { number: 4, text: 'b\r' },
    { number: 5, text: 'c' },
  ]);
  expect(await linesOf([])).toEqual([]);
});

test('gives the same lines however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 1, max: 7 }),
      async (text, size) => {
        const bytes = Buffer.from(text.toWellFormed());
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        expect(await linesOf(chunks)).toEqual(await linesOf([bytes]));
      },
    ),
  );
});

test('refuses a line that is too long, or not UTF-8, and no other', async () => {
  const bytes = Buffer.concat([
    Buffer.from('12345\n123456\n'),
    Buffer.from([0xc3, 0x28, 0x0a]),
    Buffer.from('ok'),
  ]);
  expect(await linesOf([bytes], 5)).toEqual([
    { number: 1, text: '12345' },
    { number: 2, problem: 'is longer than 5 bytes' },
    { number: 3, problem: 'is not UTF-8' },
    { number: 4, text: 'ok' },
  ]);
});

test('keeps no more of an endless line than a line may have', async () => {
  const chunk = Buffer.alloc(2 ** 20, 'x');
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  function* endless(): Generator<Uint8Array> {
    for (let index = 0; index < 500; index++) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      yield Buffer.from(chunk);
    }
  }
  expect(await linesOf(endless(), 2 ** 21)).toEqual([
    { number: 1, problem: 'is longer than 2097152 bytes' },
  ]);
  expect(most).toBeLessThan(200 * 2 ** 20);
});
