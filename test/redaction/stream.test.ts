import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { createRedactor, redactStream } from '../../src/redaction/index.ts';

const RULES = { pii_redaction: {}, secret_detection: {} } as const;
const ALL = createRedactor(RULES);
const BODY = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7';
const WORDS = 'the weather is fine and nothing else has happened today, they said. ';

function streamed(text: string, size: number): string {
  const stream = ALL.stream();
  let given = '';
  for (let at = 0; at < text.length; at += size) given += stream.push(text.slice(at, at + size));
  return given + stream.end();
}

describe('a stream', () => {
  const long = WORDS.repeat(40);
  test.each([
    ['a card', `${long}5425 2334 3010 9903 ${long}`],
    ['a mail address with a blank', `${long}"ann b lee"@harbor-mills.net ${long}`],
    [
      'a key in PEM of 8 KiB',
      `${long}-----BEGIN PRIVATE KEY-----\n${`${BODY}\n`.repeat(150)}-----END PRIVATE KEY-----\n${long}`,
    ],
    ['a key without an end', `${long}-----BEGIN PRIVATE KEY-----\n${`${BODY}\n`.repeat(50)}`],
    [
      'a token of 4 KiB',
      `${long}eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI4ODM3NDYxIn0.${'q3Vw8ZtY'.repeat(120)} ${long}`,
    ],
    [
      'base64 of 20 KiB',
      `${long}${Buffer.from(`${WORDS.repeat(200)} ann@harbor-mills.net`).toString('base64')} ${long}`,
    ],
    ['a table of numbers', `${'12 345 67 8901 '.repeat(800)}\n${long}`],
    ['a long word', `${'x'.repeat(5000)} 416-55-7309 ${long}`],
    ['percent-encoded text', `${long}${'%34%31%36%2D%35%35%2D%37%33%30%39%20'.repeat(60)}${long}`],
    [
      'Chinese',
      `${'今天天气很好，没有别的事情发生。'.repeat(200)}416-55-7309${'今天天气很好。'.repeat(200)}`,
    ],
    ['many matches', 'ann@harbor-mills.net, 416-55-7309; '.repeat(300)],
    [
      'a password far from its command',
      `curl -k -s -o /dev/null ${'-H "a: b" '.repeat(20)} -u ann:Vx9kTq2pLm7 x\n${long}`,
    ],
  ])('gives what the whole text gives: %s', (_, text) => {
    const whole = ALL.redactText(text).value;
    for (const size of [1, 7, 100, 1000, 5000]) expect(streamed(text, size)).toBe(whole);
  });

  test('gives text out long before its end', () => {
    const stream = ALL.stream();
    let given = '';
    for (let count = 0; count < 200; count += 1) given += stream.push(WORDS);
    expect(given.length).toBeGreaterThan(200 * WORDS.length - 2500);
  });

  test('never holds back more than 256 Ki and a little', () => {
    const stream = ALL.stream();
    let held = 0;
    for (let count = 0; count < 40; count += 1) {
      held += 20_000 - stream.push('z'.repeat(20_000)).length;
      expect(held).toBeLessThan(300_000);
    }
  });

  test('counts findings by category, never negative, over all its texts', () => {
    const stream = ALL.stream();
    stream.push('ann@harbor-mills.net 416-55-7309');
    expect(stream.counts).toEqual({});
    stream.end();
    expect(stream.counts).toEqual({ email: 1, ssn: 1 });
    stream.push('bob@harbor-mills.net');
    stream.end();
    expect(stream.counts).toEqual({ email: 2, ssn: 1 });
  });

  test('redacts for its direction', () => {
    const redactor = createRedactor({ pii_redaction: { direction: 'input' } });
    const give = (direction: 'input' | 'output') => {
      const stream = redactor.stream({ direction });
      return stream.push('ann@harbor-mills.net') + stream.end();
    };
    expect([give('input'), give('output')]).toEqual(['<EMAIL>', 'ann@harbor-mills.net']);
  });
});

test('a text beyond a segment is redacted at every place, as in one piece', () => {
  const block = `${WORDS.repeat(900)}5425 2334 3010 9903 `;
  const text = block.repeat(6) + 'y'.repeat(600_000) + block;
  const { value, entities } = ALL.redactText(text);
  expect(entities).toHaveLength(7);
  for (const { start, end } of entities) expect(text.slice(start, end)).toBe('5425 2334 3010 9903');
  expect(value).not.toContain('5425');
  expect(streamed(text, 65_536)).toBe(value);
});

describe('redactStream', () => {
  const collect = async (source: AsyncIterable<string>) => {
    let text = '';
    for await (const piece of source) text += piece;
    return text;
  };

  test('takes bytes whose characters are split over chunks', async () => {
    const bytes = Buffer.from('übergabe an ann@harbor-mills.net — 416-55-7309 😀');
    const chunks = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await collect(redactStream(chunks, RULES))).toBe('übergabe an <EMAIL> — <SSN> 😀');
  });

  test('takes strings, async or not, and an empty source', async () => {
    expect(await collect(redactStream(['ann@harbor', '-mills.net'], RULES))).toBe('<EMAIL>');
    expect(await collect(redactStream(Readable.from(['416-', '55-7309']), RULES))).toBe('<SSN>');
    expect(await collect(redactStream([], RULES))).toBe('');
  });

  test('works in a pipeline', async () => {
    let text = '';
    await pipeline(
      Readable.from([Buffer.from('to ann@harbor-mills.net')]),
      (source: AsyncIterable<Uint8Array>) => redactStream(source, RULES),
      async (source: AsyncIterable<string>) => {
        text = await collect(source);
      },
    );
    expect(text).toBe('to <EMAIL>');
  });

  test('passes the failure of its source on', async () => {
    const failing = async function* (): AsyncGenerator<string> {
      yield 'some text';
      throw new Error('source failed');
    };
    await expect(collect(redactStream(failing(), RULES))).rejects.toThrow('source failed');
  });
});
