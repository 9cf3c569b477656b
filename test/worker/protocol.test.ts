import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFrame, FrameDecoder, FrameError } from '../../worker/protocol.ts';

const MAX = 1_000_000;

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])];
  let from = 0;
  return ends
    .sort((a, b) => a - b)
    .map((end) => {
      const part = bytes.subarray(from, end);
      from = end;
      return part;
    });
}

describe('FrameDecoder', () => {
  test('gives the same frames however the stream is cut', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }));
    const places = fc.array(fc.nat(10_000));
    fc.assert(
      fc.property(texts, places, fc.nat(20), (frames, at, tail) => {
        const whole = Buffer.concat(frames.map((frame) => encodeFrame(frame)));
        const bytes = Buffer.concat([whole, encodeFrame('x'.repeat(30)).subarray(0, tail)]);
        const decoder = new FrameDecoder(MAX);
        expect(cut(bytes, at).flatMap((chunk) => decoder.push(chunk))).toEqual(frames);
        expect(decoder.heldBytes).toBe(tail);
      }),
      { numRuns: 500 },
    );
  });

  test('gives the same frames byte by byte', () => {
    const frames = ['a', 'é'.repeat(300), '😀', 'x'.repeat(5000)];
    const bytes = Buffer.concat(frames.map((frame) => encodeFrame(frame)));
    const decoder = new FrameDecoder(MAX);
    const got = Array.from(bytes, (byte) => decoder.push(Buffer.from([byte]))).flat();
    expect(got).toEqual(frames);
    expect(decoder.heldBytes).toBe(0);
  });

  test('does not keep the memory of the chunks it was given', () => {
    const decoder = new FrameDecoder(MAX);
    const chunk = encodeFrame('abc');
    decoder.push(chunk.subarray(0, 5));
    chunk.fill(0x7a);
    expect(decoder.push(Buffer.from('bc'))).toEqual(['abc']);
  });

  test('keeps a byte order mark, which is part of the text', () => {
    expect(new FrameDecoder(MAX).push(encodeFrame('\ufeff{}'))).toEqual(['\ufeff{}']);
  });

  test.each([
    ['zero', [0, 0, 0, 0]],
    ['one more than allowed', [0, 0, 0, 11]],
    ['the largest', [0xff, 0xff, 0xff, 0xff]],
  ])('refuses a length of %s from its four bytes', (_kind, head) => {
    const decoder = new FrameDecoder(10);
    expect(decoder.push(Buffer.from(head.slice(0, 3)))).toEqual([]);
    expect(() => decoder.push(Buffer.from(head.slice(3)))).toThrow(FrameError);
  });

  test('takes a frame of exactly the bound', () => {
    expect(new FrameDecoder(10).push(encodeFrame('0123456789'))).toEqual(['0123456789']);
  });

  test.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['half a character', [0xe2, 0x82]],
    ['a byte that begins nothing', [0xff]],
    ['a character beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ])('refuses %s as no UTF-8', (_kind, body) => {
    const bytes = Buffer.from([0, 0, 0, body.length, ...body]);
    expect(() => new FrameDecoder(MAX).push(bytes)).toThrow('not UTF-8');
  });

  test('holds a frame that comes byte by byte in little more than its bytes', () => {
    const size = 400_000;
    const bytes = encodeFrame('x'.repeat(size));
    const decoder = new FrameDecoder(MAX);
    const heapBefore = process.memoryUsage().heapUsed;
    for (let at = 0; at < size; at += 1) decoder.push(Buffer.from([bytes[at] ?? 0]));
    const grown = process.memoryUsage().heapUsed - heapBefore;
    expect(decoder.heldBytes).toBe(size);
    // Kept as one object a byte it would be about 200 bytes each: 80 MB.
    expect(grown).toBeLessThan(50 * 2 ** 20);
  });

  test('cuts many frames of one chunk in time linear in their number', () => {
    const msFor = (count: number) => {
      const bytes = Buffer.concat(Array.from({ length: count }, () => encodeFrame('x')));
      const half = bytes.length / 2;
      const began = performance.now();
      const decoder = new FrameDecoder(MAX);
      const frames = [
        ...decoder.push(bytes.subarray(0, half + 2)),
        ...decoder.push(bytes.subarray(half + 2)),
      ];
      expect(frames).toHaveLength(count);
      return performance.now() - began;
    };
    msFor(1000);
    const few = Math.min(msFor(10_000), msFor(10_000), msFor(10_000));
    expect(msFor(160_000)).toBeLessThan(100 * Math.max(few, 1));
  });
});

describe('encodeFrame', () => {
  test('counts bytes of UTF-8, not characters', () => {
    const frame = encodeFrame('"é"');
    expect(frame.readUInt32BE(0)).toBe(4);
    expect(frame.length).toBe(8);
  });
});
