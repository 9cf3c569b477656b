import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../../src/redaction/index.ts';

const ALL = createRedactor({ pii_redaction: {}, secret_detection: {} });
const redact = (value: unknown) => ALL.redact(value).value;
const MAIL = 'bob@harbor-mills.net';
const SSN = '416-55-7309';

/** What throws must not say what it holds. */
function refusal(value: unknown): unknown {
  try {
    ALL.redact(value, { root: 'args' });
  } catch (error) {
    expect(String(error)).not.toContain(SSN);
    expect(JSON.stringify(error)).not.toContain(SSN);
    return (error as { code: unknown }).code;
  }
  return 'not refused';
}

describe('values', () => {
  test.each<[string, unknown, unknown]>([
    ['a string', MAIL, '<EMAIL>'],
    ['null, undefined and booleans', [null, undefined, true], [null, undefined, true]],
    ['numbers', [5425233430109903, 12.5, -1, Number.NaN], ['<CREDIT_CARD>', 12.5, -1, Number.NaN]],
    ['a BigInt', 5425233430109903n, '<CREDIT_CARD>'],
    ['object keys', { [MAIL]: 1 }, { '<EMAIL>': 1 }],
    ['keys that become equal', { 'a@b.org': 1, 'c@d.org': 2 }, { '<EMAIL>': 1, '<EMAIL>#2': 2 }],
    ['a Map', new Map([[MAIL, SSN]]), new Map([['<EMAIL>', '<SSN>']])],
    ['a Map with an object key', new Map([[{ a: MAIL }, 1]]), new Map([[{ a: '<EMAIL>' }, 1]])],
    ['a Set', new Set([SSN, 'x']), new Set(['<SSN>', 'x'])],
    ['a boxed string', Object(MAIL), '<EMAIL>'],
    ['a Date', new Date(0), new Date(0)],
    ['a regular expression', /416-55-7309/g, '<SSN>'],
    ['a harmless regular expression', /a+/g, /a+/g],
    [
      'a URL',
      new URL('https://u:Vx9kTq2pLm7@h.test/'),
      new URL('https://u:PASSWORD_IN_URL_REDACTED@h.test/'),
    ],
    [
      'search parameters',
      new URLSearchParams({ q: MAIL }),
      new URLSearchParams('q=EMAIL_REDACTED'),
    ],
    [
      'an object without a prototype',
      Object.assign(Object.create(null), { a: SSN }),
      Object.assign(Object.create(null), { a: '<SSN>' }),
    ],
    ['inherited properties', Object.create({ a: SSN }), { a: '<SSN>' }],
    ['what toJSON returns', { toJSON: () => ({ a: SSN }) }, { a: '<SSN>' }],
    [
      'named properties of an array',
      Object.assign([1], { note: SSN }),
      Object.assign([1], { note: '<SSN>' }),
    ],
    [
      'own __proto__',
      JSON.parse(`{"__proto__":{"a":"${SSN}"}}`),
      JSON.parse('{"__proto__":{"a":"<SSN>"}}'),
    ],
  ])('redacts %s', (_, value, expected) => {
    expect(redact(value)).toEqual(expected);
  });

  test('redacts symbols and symbol keys', () => {
    expect((redact(Symbol(SSN)) as symbol).description).toBe('<SSN>');
    const copy = redact({ [Symbol(SSN)]: 1 }) as object;
    expect(Object.getOwnPropertySymbols(copy).map(String)).toEqual(['Symbol(<SSN>)']);
    const plain = Symbol('plain');
    expect(redact({ [plain]: SSN })).toEqual({ [plain]: '<SSN>' });
  });

  test('keeps holes and the length of a sparse array', () => {
    const sparse: unknown[] = [];
    sparse[5] = SSN;
    sparse.length = 9;
    const copy = redact(sparse) as unknown[];
    expect([copy.length, Object.keys(copy), copy[5]]).toEqual([9, ['5'], '<SSN>']);
  });

  test('keeps cycles and shared parts', () => {
    const shared = { a: SSN };
    const value: Record<string, unknown> = { shared, again: shared };
    value['self'] = value;
    const copy = redact(value) as Record<string, unknown>;
    expect(copy['self']).toBe(copy);
    expect(copy['again']).toBe(copy['shared']);
    expect(copy['shared']).toEqual({ a: '<SSN>' });
  });

  test('redacts an error with its stack, cause, errors and properties, and keeps its class', () => {
    const error = new AggregateError([new RangeError(SSN)], MAIL, { cause: new Error(SSN) });
    Object.assign(error, { path: SSN });
    const copy = redact(error) as AggregateError & { path: string };
    expect(copy).toBeInstanceOf(AggregateError);
    expect(copy.message).toBe('<EMAIL>');
    expect(copy.stack).not.toContain(MAIL);
    expect(copy.cause).toMatchObject({ message: '<SSN>' });
    expect(copy.errors[0]).toBeInstanceOf(RangeError);
    expect(copy.path).toBe('<SSN>');
  });

  test('changes nothing in the original', () => {
    const value = Object.freeze({ list: Object.freeze([MAIL]), map: new Map([['a', MAIL]]) });
    redact(value);
    expect([value.list[0], value.map.get('a')]).toEqual([MAIL, MAIL]);
  });
});

describe('bytes', () => {
  test.each<[string, (text: string) => ArrayBufferView | ArrayBuffer]>([
    ['a Buffer', (text) => Buffer.from(text)],
    ['a Uint8Array', (text) => new TextEncoder().encode(text)],
    ['a clamped array', (text) => new Uint8ClampedArray(Buffer.from(text))],
    ['a DataView', (text) => new DataView(new TextEncoder().encode(text).buffer)],
    ['an ArrayBuffer', (text) => new TextEncoder().encode(text).buffer],
  ])('redacts %s and keeps its type', (_, make) => {
    expect(redact(make(`no ${SSN}!`))).toEqual(make('no <SSN>!'));
    expect(redact(make('nothing'))).toEqual(make('nothing'));
  });

  test('sees ASCII in bytes that are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfe, 0]), Buffer.from(` ${SSN} `)]);
    const copy = redact(bytes) as Buffer;
    expect(copy.toString('latin1')).toBe('\u00ff\u00fe\0 <SSN> ');
  });

  test('leaves no copy of the secret in memory that the result shares', () => {
    const copy = redact(Buffer.from(SSN)) as Buffer;
    expect(Buffer.from(copy.buffer).toString('latin1')).toBe('<SSN>');
  });

  test('a changed array of larger elements comes back as bytes', () => {
    const wide = new Uint16Array(Buffer.from(`${SSN} `).buffer.slice(0, 0));
    expect(redact(wide)).toEqual(wide);
    const text = Buffer.from(`${SSN}!`);
    const words = new Uint16Array(Uint8Array.from(text).buffer);
    expect(redact(words)).toEqual(new Uint8Array(Buffer.from('<SSN>!')));
    expect(redact(new Float64Array([1.5, 2]))).toEqual(new Float64Array([1.5, 2]));
  });

  test('does not believe what a view says about its class', () => {
    const view = new Uint8Array(Buffer.from('ok'));
    Object.defineProperty(view, 'constructor', { value: () => ({ leaked: true }) });
    expect(redact(view)).toBeInstanceOf(Uint8Array);
  });
});

describe('keys that explain their values', () => {
  test.each<[unknown, unknown]>([
    [{ password: 'hunter22' }, { password: '<PASSWORD>' }],
    [{ dbPassword: 'Vx9!kTq2' }, { dbPassword: '<PASSWORD>' }],
    [
      { SecretAccessKey: 'k9TzQ2vR8mXw4LpY7bNc1HdJ6sFgE3aVu0iOqWeZ' },
      { SecretAccessKey: '<AWS_SECRET_KEY>' },
    ],
    [{ ssn: 416557309 }, { ssn: '<SSN>' }],
    [{ ssn: '416557309' }, { ssn: '<SSN>' }],
    [{ phone: 14158675309 }, { phone: '<PHONE>' }],
    [{ contact: { phone: '4930 7477' } }, { contact: { phone: '<PHONE>' } }],
    [
      { name: 'password', value: 'Vx9!kTq2' },
      { name: 'password', value: '<PASSWORD>' },
    ],
    [new Map([['password', 'Vx9!kTq2']]), new Map([['password', '<PASSWORD>']])],
    [
      { id: 416557309, count: 14158675309 },
      { id: 416557309, count: 14158675309 },
    ],
    [
      { password: '', token: null, secret: true },
      { password: '', token: null, secret: true },
    ],
    [{ password_policy: 'at least 8 characters' }, { password_policy: 'at least 8 characters' }],
  ])('%j', (value, expected) => {
    expect(redact(value)).toEqual(expected);
  });
});

describe('values split over neighbours', () => {
  test.each<[unknown, unknown]>([
    [
      ['416-55', '-7309'],
      ['<SSN>', ''],
    ],
    [
      ['5425', '2334', '3010', '9903'],
      ['<CREDIT_CARD>', '', '', ''],
    ],
    [
      { a: '416-55', b: '-7309' },
      { a: '<SSN>', b: '' },
    ],
    [
      ['--password', 'Vx9kTq2pLm7', 'x'],
      ['--password', '<PASSWORD>', 'x'],
    ],
    [
      ['id: gh', `p_R7kQ2mZx9TnB4vLcW8s${'YpD3hJfGa6E1uXoNi'}`],
      ['id: <GITHUB_TOKEN>', ''],
    ],
    [
      ['curl', '-u', 'admin:Vx9kTq2pLm7'],
      ['curl', '-u', 'admin:<PASSWORD>'],
    ],
    [
      ['1.2', '3.4', '5.6', '7.8'],
      ['1.2', '3.4', '5.6', '7.8'],
    ],
    [
      ['555 01', '32 100', '415 867'],
      ['555 01', '32 100', '415 867'],
    ],
    [
      ['see', MAIL, 'net'],
      ['see', '<EMAIL>', 'net'],
    ],
  ])('%j', (value, expected) => {
    expect(redact(value)).toEqual(expected);
  });

  test('counts such a value once, in its first part', () => {
    const { entities, counts } = ALL.redact(['no 416-55', '-7309 there'], { root: 'args' });
    expect(entities).toEqual([{ category: 'ssn', start: 3, end: 9, path: 'args[0]' }]);
    expect(counts).toEqual({ ssn: 1 });
  });
});

describe('what cannot be read is refused', () => {
  const nested = (depth: number) => {
    let value: unknown = SSN;
    for (let level = 0; level < depth; level += 1) value = { value };
    return value;
  };
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };

  test.each<[string, () => unknown, string]>([
    ['a value too deep', () => nested(2000), 'ENF_REDACTION_DEPTH'],
    [
      'an array too deep',
      () => JSON.parse('['.repeat(5000) + ']'.repeat(5000)),
      'ENF_REDACTION_DEPTH',
    ],
    ['too many values', () => new Array(1_000_001).fill(0), 'ENF_REDACTION_SIZE'],
    ['a text too long', () => 'x'.repeat(65 * 1024 * 1024), 'ENF_REDACTION_SIZE'],
    ['a function', () => ({ a: () => SSN }), 'ENF_REDACTION_UNREADABLE'],
    [
      'a generator',
      () =>
        (function* () {
          yield SSN;
        })(),
      'ENF_REDACTION_UNREADABLE',
    ],
    ['a promise', () => ({ a: Promise.resolve(SSN) }), 'ENF_REDACTION_UNREADABLE'],
    ['a blob', () => new Blob([SSN]), 'ENF_REDACTION_UNREADABLE'],
    ['headers', () => new Headers({ a: SSN }), 'ENF_REDACTION_UNREADABLE'],
    ['a weak map', () => new WeakMap(), 'ENF_REDACTION_UNREADABLE'],
    ['a weak reference', () => new WeakRef({}), 'ENF_REDACTION_UNREADABLE'],
    ['an iterator', () => new Map([[SSN, 1]]).entries(), 'ENF_REDACTION_UNREADABLE'],
    ['a revoked proxy', revoked, 'ENF_REDACTION_UNREADABLE'],
    [
      'a getter that throws',
      () => ({
        get a() {
          throw new Error(SSN);
        },
      }),
      'ENF_REDACTION_UNREADABLE',
    ],
    [
      'a getter that throws a string',
      () => ({
        get a() {
          throw SSN;
        },
      }),
      'ENF_REDACTION_UNREADABLE',
    ],
    [
      'a toJSON that throws',
      () => ({
        toJSON() {
          throw new Error(SSN);
        },
      }),
      'ENF_REDACTION_UNREADABLE',
    ],
    [
      'a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error(SSN);
            },
          },
        ),
      'ENF_REDACTION_UNREADABLE',
    ],
    [
      'a proxy of a Date',
      () =>
        new Proxy(new Date(), {
          get: () => {
            throw new Error(SSN);
          },
        }),
      'ENF_REDACTION_UNREADABLE',
    ],
    [
      'endless toJSON',
      () => {
        const o: object = { toJSON: () => ({ ...o }) };
        return o;
      },
      'ENF_REDACTION_DEPTH',
    ],
  ])('%s', (_, make, code) => {
    expect(refusal(make())).toBe(code);
  });

  test('reads every getter once, so that it cannot show two faces', () => {
    let reads = 0;
    const value = {
      get a() {
        reads += 1;
        return reads === 1 ? 'ok' : SSN;
      },
    };
    expect(redact(value)).toEqual({ a: 'ok' });
    expect(reads).toBe(1);
  });

  test('reads a proxy as what it shows', () => {
    expect(redact(new Proxy({ a: SSN }, {}))).toEqual({ a: '<SSN>' });
  });
});

describe('places', () => {
  test('names the path of every finding, with redacted keys', () => {
    const value = { users: [{ [MAIL]: { note: SSN } }] };
    const paths = ALL.redact(value, { root: 'result' }).entities.map(({ path }) => path);
    expect(paths).toEqual(['result.users[0]', 'result.users[0].<EMAIL>.note']);
  });

  test('a kind holds for what is below its path and nothing else', () => {
    const { value } = ALL.redact(
      { cmd: [`mail ${MAIL}`, { x: SSN }], text: MAIL },
      { root: 'args', kinds: { 'args.cmd': 'command', 'args.cmd[1].x': 'data' } },
    );
    expect(value).toEqual({ cmd: ['mail EMAIL_REDACTED', { x: '<SSN>' }], text: '<EMAIL>' });
  });

  test('in a command a hash is a word, too', () => {
    const hashing = createRedactor({ pii_redaction: { strategy: 'hash' } });
    const { value } = hashing.redact({ cmd: `mail ${MAIL}` }, { kinds: { cmd: 'command' } });
    expect(value).toEqual({ cmd: expect.stringMatching(/^mail SHA256_[\da-f]{16}$/) });
  });
});

test('any JSON comes back in the same shape, without what was found, and twice is once', () => {
  const strings = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(MAIL, SSN, 'x', `${MAIL} ${SSN}`),
  );
  const { value: trees } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      strings,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(strings, tie('value'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(trees, (tree) => {
      const once = redact(tree);
      const text = JSON.stringify(once) ?? '';
      expect(text).not.toContain(MAIL);
      expect(text).not.toContain(SSN);
      expect(redact(once)).toEqual(once);
    }),
    { numRuns: 500 },
  );
});
