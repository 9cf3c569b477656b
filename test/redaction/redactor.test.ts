import { createHash, createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor, redact } from '../../src/redaction/index.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const RUNS = ENFORCECORE_TEST_SLOW === '1' ? 40_000 : 1500;
const PII = { pii_redaction: {} } as const;
const ALL = { pii_redaction: {}, secret_detection: {} } as const;
const TEXT = 'mail ann@example.com, ssn 536-22-8731, card 4111111111111111, ip 203.0.113.77';

describe('strategies', () => {
  test.each([
    ['placeholder', 'mail <EMAIL>, ssn <SSN>, card <CREDIT_CARD>, ip <IP_ADDRESS>'],
    ['mask', 'mail ****@****.***, ssn ***-**-****, card ****-****-****-****, ip ***.***.***.***'],
    ['remove', 'mail , ssn , card , ip '],
  ] as const)('%s', (strategy, expected) => {
    const redactor = createRedactor({ pii_redaction: { strategy } });
    expect(redactor.redactText(TEXT).value).toBe(expected);
  });

  test('hash gives 16 hex digits of SHA-256, keyed when there is a salt', () => {
    const plain = createHash('sha256').update('536-22-8731').digest('hex').slice(0, 16);
    const keyed = createHmac('sha256', 'pepper').update('536-22-8731').digest('hex').slice(0, 16);
    const value = (salt?: string) =>
      createRedactor({ pii_redaction: { strategy: 'hash', ...(salt ? { salt } : {}) } }).redactText(
        '536-22-8731',
      ).value;
    expect(value()).toBe(`[SHA256:${plain}]`);
    expect(value('pepper')).toBe(`[SHA256:${keyed}]`);
  });
});

test('removing a match removes what its removal brings together', () => {
  const redactor = createRedactor({ pii_redaction: { strategy: 'remove' } });
  const { value, entities } = redactor.redactText('no 4111 1111 ann@example.com1111 1111 end');
  expect(value).toBe('no  end');
  expect(entities).toEqual([{ category: 'credit_card', start: 3, end: 37, path: '' }]);
  const many = '4111 1111 ann@example.com1111 1111, '.repeat(3);
  expect(redactor.redactText(many).value).toBe(', , , ');
});

describe('rules', () => {
  test('no rules redact nothing', () => {
    expect(createRedactor({}).redactText(TEXT)).toEqual({ value: TEXT, entities: [], counts: {} });
  });

  test('a section that is not enabled is off', () => {
    const redactor = createRedactor({ pii_redaction: { enabled: false } });
    expect(redactor.redactText(TEXT).value).toBe(TEXT);
  });

  test('one direction leaves the other alone', () => {
    const redactor = createRedactor({ pii_redaction: { direction: 'input' } });
    expect(redactor.redact(['ann@example.com'], { direction: 'input' }).value).toEqual(['<EMAIL>']);
    expect(redactor.redact(['ann@example.com'], { direction: 'output' }).value).toEqual([
      'ann@example.com',
    ]);
  });

  test('an exempt path keeps its personal data, and so does what is below it', () => {
    const redactor = createRedactor({ pii_redaction: { exempt: ['args.to'] } });
    const args = { to: ['ann@example.com'], body: 'bob@example.com', toMany: 'eve@example.com' };
    expect(redactor.redact(args, { root: 'args' }).value).toEqual({
      to: ['ann@example.com'],
      body: '<EMAIL>',
      toMany: '<EMAIL>',
    });
  });

  test('an exempt path does not keep its secrets', () => {
    const redactor = createRedactor({
      pii_redaction: { exempt: ['args.to'] },
      secret_detection: {},
    });
    const { value } = redactor.redact(
      { to: 'ann@example.com password=Vx9kTq2pLm7' },
      { root: 'args' },
    );
    expect(value).toEqual({ to: 'ann@example.com password=<PASSWORD>' });
  });

  test.each([
    [{ pii_redaction: { categories: ['e-mail'] } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { strategy: 'erase' } }, 'ENF_REDACTION_RULES'],
    [{ secret_detection: { categories: 'everything' } }, 'ENF_REDACTION_RULES'],
    [{ secret_detection: { strategy: 'erase' } }, 'ENF_REDACTION_RULES'],
    [{ custom_patterns: [{ name: 'Email', pattern: 'a' }] }, 'ENF_REDACTION_PATTERN'],
    [{ pii_redaction: { direction: 'in' } }, 'ENF_REDACTION_RULES'],
    [{ custom_patterns: [{ name: 'x', pattern: '(?=a)b' }] }, 'ENF_REDACTION_PATTERN'],
    [{ custom_patterns: [{ name: 'x', pattern: 'a*' }] }, 'ENF_REDACTION_PATTERN'],
    [{ custom_patterns: [{ name: 'x y', pattern: 'a' }] }, 'ENF_REDACTION_PATTERN'],
    [{ pii: {} }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { category: ['ssn'] } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: true }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: null }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { categories: 'ssn' } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { categories: [1] } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { exempt: 'args.to' } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { enabled: 'no' } }, 'ENF_REDACTION_RULES'],
    [{ pii_redaction: { salt: '' } }, 'ENF_REDACTION_RULES'],
    [{ custom_patterns: { name: 'x', pattern: 'a' } }, 'ENF_REDACTION_RULES'],
    [{ custom_patterns: [{ name: 'x', regex: 'a' }] }, 'ENF_REDACTION_RULES'],
    [null, 'ENF_REDACTION_RULES'],
    [[], 'ENF_REDACTION_RULES'],
  ])('refuses %j', async (rules, code) => {
    await expect(redact('text', rules as never)).rejects.toMatchObject({ code });
  });
});

test('an error names the rule, what belongs there and what is there, but no salt', () => {
  const refusal = (rules: object) => () => createRedactor(rules as never);
  expect(refusal({ pii: {} })).toThrow(
    '`rules`: expected no keys but pii_redaction, secret_detection, custom_patterns, got `pii`',
  );
  expect(refusal({ pii_redaction: { exempt: 7 } })).toThrow(
    '`pii_redaction.exempt`: expected a list of texts, got number',
  );
  const redactor = createRedactor({ pii_redaction: {} });
  const direction = 'in' as 'input';
  for (const use of [
    () => redactor.redact('x', { direction }),
    () => redactor.redactText('x', { direction }),
    () => redactor.detect('x', { direction }),
    () => redactor.stream({ direction }),
  ]) {
    expect(use).toThrow('`direction`: expected input or output, got `in`');
  }
});

describe('structures', () => {
  test('counts what it found and says where, without the text', () => {
    const { entities, counts } = createRedactor(PII).redact(
      { users: [{ mail: 'to ann@example.com' }], 'bob@example.com': 536228731, ssn: 536228731 },
      { root: 'result' },
    );
    expect(entities).toEqual([
      { category: 'email', start: 3, end: 18, path: 'result.users[0].mail' },
      { category: 'email', start: 0, end: 15, path: 'result' },
      { category: 'ssn', start: 0, end: 9, path: 'result.ssn' },
    ]);
    expect(counts).toEqual({ email: 2, ssn: 1 });
  });

  test.each(['command', 'path', 'sql'] as const)('never puts brackets into a %s', (kind) => {
    const args = { text: ['x ann@example.com'] };
    for (const strategy of ['placeholder', 'mask', 'remove'] as const) {
      const redactor = createRedactor({ pii_redaction: { strategy } });
      expect(redactor.redact(args, { root: 'args', kinds: { 'args.text': kind } }).value).toEqual({
        text: ['x EMAIL_REDACTED'],
      });
    }
  });
});

describe('laws', { timeout: 300_000 }, () => {
  const parts = fc.constantFrom(
    ...['ann@example.com', '+1 415-555-2671', '536-22-8731', '4111 1111 1111 1111'],
    ...[
      '203.0.113.77',
      '::1',
      ' ',
      '\n',
      ', ',
      'call ',
      'card ',
      'the weather is fine ',
      '<EMAIL>',
    ],
    ...[
      '+',
      '-',
      '.',
      '1',
      '22 333',
      '😀',
      '\ud800',
      'é',
      '\u200b',
      '%',
      '%34',
      '&#52;',
      '\\n',
      '\\',
    ],
    ...[
      'password=',
      'hunter2!x',
      'AKIAQ7ZT3V',
      'HN5LDCEXK2',
      `gh${'p_'}R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1uXoNi`,
    ],
    ...[
      'https://u:',
      '@host.org/',
      '-----BEGIN PRIVATE KEY-----\n',
      '-----END PRIVATE KEY-----',
      '"',
    ],
    ...['MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7', 'Bearer ', '\u0664', 'а', '٤٥٣٩'],
    ...['bWFpbCBhbm5AZXhhbXBsZS5jb20gbm93', '3533362d32322d38373331'],
    ...['bWFpbCB0byBhbm5AZXhh\nbXBsZS5jb20gbm93IG9r\n', 'YWJjZGVmZ2hpamtsbW5v\n', '0x'],
    ...['=\n', '=40', '=2E', '\x1b[1m', '\0', '[.]', '[@]', '(.)', "'+'", '" +\n "', '\\\n'],
    ...['\\\\u0040', '\\U00000040', ' at example dot com', '<phone>', '<ssn>', '(11) 98765-4321'],
    ...[' - ', '  ', 'Chrome/', ' == ', 'key: ', 'token', '="', 'aws', 'eyJhbGciOiJIUzI1NiJ9.e30.'],
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(parts, fc.string({ maxLength: 3 }))).map((pieces) => pieces.join('')),
  );
  const all = createRedactor(ALL);
  const redactors = {
    placeholder: all,
    mask: createRedactor({
      pii_redaction: { strategy: 'mask' },
      secret_detection: { strategy: 'mask' },
    }),
    remove: createRedactor({
      pii_redaction: { strategy: 'remove' },
      secret_detection: { strategy: 'remove' },
    }),
    hash: createRedactor({
      pii_redaction: { strategy: 'hash' },
      secret_detection: { strategy: 'hash' },
    }),
  };
  const strategies = fc.constantFrom('placeholder', 'mask', 'hash', 'remove' as const);

  test('redacting twice changes nothing', () => {
    fc.assert(
      fc.property(texts, strategies, (text, strategy) => {
        const redactor = redactors[strategy];
        const once = redactor.redactText(text).value;
        expect(redactor.redactText(once).value).toBe(once);
      }),
      { numRuns: RUNS },
    );
  });

  test('offsets cut exactly the pieces that were replaced', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const { value, entities } = all.redactText(text);
        let rebuilt = '';
        let from = 0;
        for (const { category, start, end } of entities) {
          expect(start).toBeGreaterThanOrEqual(from);
          expect(end).toBeGreaterThan(start);
          rebuilt += `${text.slice(from, start)}<${category.toUpperCase()}>`;
          from = end;
        }
        expect(value).toBe(rebuilt + text.slice(from));
      }),
      { numRuns: RUNS },
    );
  });

  const units = fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 })
    .map((codes) => String.fromCharCode(...codes));

  test('any sequence of UTF-16 units is read, halves of surrogates too', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(units, parts), { maxLength: 8 }), (pieces) => {
        const text = pieces.join('');
        const { value, entities } = all.redactText(text);
        expect(all.detect(text)).toEqual(entities);
        if (entities.length === 0) expect(value).toBe(text);
      }),
      { numRuns: RUNS },
    );
  });

  test('what is found in a value is in no field of the result', () => {
    const secrets = [
      ...['ann@harbor-mills.net', '416-55-7309', '5425 2334 3010 9903', '203.0.113.77'],
      ...[`gh${'p_'}R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1uXoNi`, `AK${'IA'}Q7ZT3VHN5LDCEXK2`],
    ];
    // Beside digits or letters it would be another value.
    const words = fc.constantFrom(
      '',
      'the weather',
      'is fine',
      'ünïcödé',
      '😀',
      '\n',
      '\ud800',
      '{"a":',
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.tuple(words, fc.constantFrom(...secrets), words).map((all) => all.join(' ')),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'note', ...secrets), tie('value'), { maxKeys: 3 }),
        fc
          .array(fc.tuple(fc.constantFrom(...secrets), tie('value')), { maxLength: 2 })
          .map((rows) => new Map(rows)),
        tie('value').map((cause) => new Error(String(secrets[0]), { cause })),
      ),
    }));
    fc.assert(
      fc.property(value, strategies, (given, strategy) => {
        const shown = inspect(redactors[strategy].redact(given), { depth: 20, showHidden: true });
        for (const secret of secrets) expect(shown).not.toContain(secret);
      }),
      { numRuns: RUNS / 4 },
    );
  });

  test('a stream gives what the whole text gives, however it is cut', () => {
    const long = fc.array(texts, { maxLength: 40 }).map((pieces) => pieces.join(' and then '));
    fc.assert(
      fc.property(long, fc.array(fc.integer({ min: 1, max: 700 })), (text, sizes) => {
        const stream = all.stream();
        let given = '';
        let at = 0;
        for (const size of sizes) {
          given += stream.push(text.slice(at, at + size));
          at += size;
        }
        given += stream.push(text.slice(at)) + stream.end();
        expect(given).toBe(all.redactText(text).value);
      }),
      { numRuns: RUNS / 4 },
    );
  });
});
