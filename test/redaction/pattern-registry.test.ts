import { describe, expect, test } from 'vitest';
import { createRedactor, detect, PatternRegistry, redact } from '../../src/redaction/index.ts';

const rules = (pattern: object) =>
  ({ custom_patterns: [{ name: 'employee_id', ...pattern }] }) as never;

describe('custom patterns of the policy', () => {
  test('are found and replaced by their placeholder or their name', async () => {
    const text = 'ask EMP-123456';
    expect((await redact(text, rules({ pattern: 'EMP-\\d{6}' }))).value).toBe('ask <EMPLOYEE_ID>');
    const named = rules({ pattern: 'EMP-\\d{6}', placeholder: '<EMPLOYEE>' });
    expect((await redact(text, named)).value).toBe('ask <EMPLOYEE>');
  });

  test('become a word in a command', () => {
    const redactor = createRedactor(rules({ pattern: 'EMP-\\d{6}', placeholder: '<E>' }));
    const { value } = redactor.redact({ cmd: 'rm EMP-123456' }, { kinds: { cmd: 'command' } });
    expect(value).toEqual({ cmd: 'rm EMPLOYEE_ID_REDACTED' });
  });

  test.each([
    ['luhn', '\\d{8}', ['12345674'], ['12345675']],
    [
      'iban',
      '[A-Z]{2}\\d{2}[A-Z\\d ]{11,30}',
      ['DE89 3704 0044 0532 0130 00'],
      ['DE89 3704 0044 0532 0130 01'],
    ],
    ['none', 'x+', ['xxx'], ['y']],
  ])('are checked by %s', (validator, pattern, good, bad) => {
    const counts = (text: string) => detect(text, rules({ pattern, validator })).length;
    for (const text of good) expect(counts(text)).toBe(1);
    for (const text of bad) expect(counts(text)).toBe(0);
  });

  test('are found in disguise, too', () => {
    const find = (text: string) => detect(text, rules({ pattern: 'EMP-\\d{6}' })).length;
    expect(find('%45%4d%50-123456')).toBe(1);
    expect(find('E\u200bM\u200bP-12\u200b3456')).toBe(1);
    expect(find(Buffer.from('id EMP-123456 ok').toString('base64'))).toBe(1);
  });

  test('run in linear time even when they are nested quantifiers', () => {
    const find = (text: string) => detect(text, rules({ pattern: '(a+)+$' })).length;
    expect(find(`${'a'.repeat(50_000)}b`)).toBe(0);
  });

  test.each([
    [{ pattern: '(?<=a)b' }],
    [{ pattern: '(a)\\1' }],
    [{ pattern: '(' }],
    [{ pattern: 'a?' }],
    [{ pattern: 'a'.repeat(1001) }],
    [{ pattern: 'a{2000}' }],
    [{ pattern: 'a', placeholder: 'x'.repeat(65) }],
    [{ pattern: 'a', validator: 'crc' }],
    [{ pattern: 'a', name: '' }],
    [{ pattern: 'a', name: 'x'.repeat(65) }],
    [{ pattern: 'a', name: 'no spaces' }],
  ])('refuses %j', (pattern) => {
    expect(() => createRedactor(rules(pattern))).toThrowError(
      expect.objectContaining({ code: 'ENF_REDACTION_PATTERN' }),
    );
  });
});

describe('a registry', () => {
  test('adds patterns with validators of the program', () => {
    const patterns = new PatternRegistry()
      .register({
        name: 'even',
        pattern: '\\b\\d{3}\\b',
        validator: (text) => Number(text) % 2 === 0,
      })
      .register({ name: 'word', pattern: 'zebra' });
    const { value, counts } = createRedactor({}, { patterns }).redactText('101 102 zebra');
    expect(value).toBe('101 <EVEN> <WORD>');
    expect(counts).toEqual({ even: 1, word: 1 });
  });

  test('refuses a name twice and a hundred and first pattern', () => {
    const registry = new PatternRegistry().register({ name: 'a', pattern: 'a' });
    expect(() => registry.register({ name: 'a', pattern: 'b' })).toThrow('the name is taken');
    for (let count = 1; count < 100; count += 1)
      registry.register({ name: `n${count}`, pattern: 'a' });
    expect(() => registry.register({ name: 'last', pattern: 'a' })).toThrow('100 patterns');
  });

  test('a validator that throws is not swallowed', () => {
    const patterns = new PatternRegistry().register({
      name: 'broken',
      pattern: 'a',
      validator: () => {
        throw new Error('validator failed');
      },
    });
    expect(() => createRedactor({}, { patterns }).redactText('a')).toThrow('validator failed');
  });
});
