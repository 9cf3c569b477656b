import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeIJson, IJsonError, parseIJson } from '../../worker/i-json.ts';

const BOUNDS = { depthMax: 64, bytesMax: 1_000_000 };

const encode = (value: unknown, bounds = BOUNDS) => encodeIJson(value, 'args', bounds);
const parse = (text: string, bounds = BOUNDS) => parseIJson(text, 'args', bounds);

function refusal(act: () => unknown): IJsonError {
  try {
    act();
  } catch (error) {
    if (error instanceof IJsonError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** Values that I-JSON holds. */
const iJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((number) => !Number.isInteger(number) || Number.isSafeInteger(number)),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value;

describe('encodeIJson', () => {
  test('writes what JSON.stringify writes', () => {
    fc.assert(
      fc.property(iJson, (value) => {
        expect(encode(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  test('writes only what parseIJson reads back unchanged', () => {
    fc.assert(
      fc.property(iJson, (value) => {
        expect(parse(encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('either refuses a value or writes JSON that reads back, whatever the value', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withNullPrototype: true,
      withUnicodeString: false,
    });
    fc.assert(
      fc.property(anything, (value) => {
        let text: string;
        try {
          text = encode(value);
        } catch (error) {
          expect(error).toBeInstanceOf(IJsonError);
          return;
        }
        expect(encode(parse(text))).toBe(text);
      }),
    );
  });

  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'undefined'],
    ['a function', () => 1, 'a function'],
    ['a symbol', Symbol('s'), 'a symbol'],
    ['a BigInt', 1n, 'a bigint'],
    ['a wrapped BigInt', Object(1n), 'a BigInt'],
    ['a wrapped symbol', Object(Symbol('s')), 'a Symbol'],
    ['NaN', Number.NaN, 'NaN'],
    ['infinity', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['a wrapped NaN', new Number(Number.NaN), 'NaN'],
    ['an integer beyond 2^53-1', 2 ** 53, '2^53-1'],
    ['a lone surrogate', 'a\ud800', 'lone surrogate'],
    ['a key with a lone surrogate', { '\udc00': 1 }, 'lone surrogate'],
    ['an own `__proto__`', JSON.parse('{"a":{"__proto__":1}}'), '`__proto__`'],
    ['a Map', new Map(), 'a Map'],
    ['a Set', new Set(), 'a Set'],
    ['a WeakMap', new WeakMap(), 'a WeakMap'],
    ['a Promise', Promise.resolve(), 'a Promise'],
    ['a regular expression', /x/, 'a RegExp'],
    ['an Error', new TypeError('x'), 'a Error'],
    ['a DOMException', new DOMException('x'), 'a DOMException'],
    ['an error of another realm', Object.assign(Object.create(Error.prototype), {}), 'a '],
    ['bytes', new Uint8Array(2), 'a Uint8Array'],
    ['an ArrayBuffer', new ArrayBuffer(2), 'a ArrayBuffer'],
  ])('refuses %s', (_kind, value, why) => {
    const error = refusal(() => encode(value));
    expect(error).toMatchObject({ reason: 'value', message: expect.stringContaining(why) });
  });

  test('names the path of what it refuses', () => {
    const error = refusal(() => encode({ items: [{ ok: 1 }, { total: 1n }] }));
    expect(error.path).toBe('args.items[1].total');
    expect(error.message).toContain('`args.items[1].total`');
  });

  test('keeps a long path out of its message', () => {
    const error = refusal(() => encode({ ['k'.repeat(10_000)]: 1n }));
    expect(error.message.length).toBeLessThan(200);
  });

  test('refuses a cycle, and takes the same object twice side by side', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = [cycle];
    expect(refusal(() => encode(cycle)).message).toContain('a cycle');
    const shared = { a: 1 };
    expect(encode([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });

  test('refuses objects whose toJSON never ends in data', () => {
    const endless = { toJSON: (): unknown => ({ ...endless }) };
    expect(refusal(() => encode(endless)).reason).toBe('depth');
    const self = { toJSON: (): unknown => self };
    expect(refusal(() => encode(self)).reason).toBe('depth');
  });

  test('refuses a wrapper whose valueOf gives itself', () => {
    const wrapper = new Number(1);
    Object.defineProperty(wrapper, 'valueOf', { value: () => wrapper });
    expect(refusal(() => encode(wrapper)).message).toContain('throws when it is read');
  });

  test('runs a getter and toJSON exactly once', () => {
    let reads = 0;
    const value = {
      get face() {
        reads += 1;
        return reads;
      },
      dated: {
        toJSON: () => {
          reads += 10;
          return 'once';
        },
      },
    };
    expect(encode(value)).toBe('{"face":1,"dated":"once"}');
    expect(reads).toBe(11);
  });

  test('says that a value throws, without what it threw', () => {
    const secret = 'hunter2';
    const thrower = {
      get a() {
        throw new Error(secret);
      },
    };
    const error = refusal(() => encode(thrower));
    expect(error.message).toBe(
      '`args` must be a JSON value, got a value that throws when it is read',
    );
  });

  test.each([
    ['NaN', Number.NaN],
    ['a text', 'many'],
    ['infinity', Number.POSITIVE_INFINITY],
  ])('refuses a proxy that says its length is %s', (_kind, length) => {
    const liar = new Proxy<unknown[]>([], {
      get: (target, key) => (key === 'length' ? length : Reflect.get(target, key)),
    });
    expect(refusal(() => encode(liar)).message).toContain('an array without a length');
  });

  test('is not led on by a proxy whose length grows as it is read', () => {
    let length = 0;
    const liar = new Proxy<unknown[]>([], {
      get: (target, key) => {
        if (key !== 'length') return Reflect.get(target, key);
        length += 1;
        return length;
      },
    });
    expect(encode(liar)).toBe('[null]');
  });

  test('refuses a huge sparse array by its length, before it walks it', () => {
    const sparse: unknown[] = [];
    sparse.length = 2 ** 32 - 1;
    expect(refusal(() => encode(sparse)).reason).toBe('size');
  });

  test.each([0, 1, 2, 64])('takes exactly %i levels where so many are allowed', (depthMax) => {
    const nested = (levels: number) => {
      let value: unknown = 1;
      for (let level = 0; level < levels; level += 1) value = level % 2 ? [value] : { a: value };
      return value;
    };
    const bounds = { ...BOUNDS, depthMax };
    expect(parse(encode(nested(depthMax), bounds), bounds)).toEqual(nested(depthMax));
    expect(refusal(() => encode(nested(depthMax + 1), bounds)).reason).toBe('depth');
  });

  test('bounds the text and not only its parts', () => {
    const text = JSON.stringify({ a: ['é'.repeat(10), 1] });
    const bytesMax = Buffer.byteLength(text);
    expect(encode({ a: ['é'.repeat(10), 1] }, { depthMax: 3, bytesMax: bytesMax + 2 })).toBe(text);
    const error = refusal(() =>
      encode({ a: ['é'.repeat(10), 1] }, { depthMax: 3, bytesMax: bytesMax - 1 }),
    );
    expect(error).toMatchObject({ reason: 'size', path: 'args' });
  });

  test('never writes more bytes than it counted', () => {
    fc.assert(
      fc.property(iJson, fc.nat(200), (value, bytesMax) => {
        try {
          expect(Buffer.byteLength(encode(value, { depthMax: 64, bytesMax }))).toBeLessThanOrEqual(
            bytesMax,
          );
        } catch (error) {
          expect(error).toMatchObject({ reason: 'size' });
        }
      }),
    );
  });
});

describe('parseIJson', () => {
  test('reads whatever JSON.parse reads, or refuses it', () => {
    const noise = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .array(fc.constantFrom(...'{}[]",:\\u0123456789eE+-.null true\n'), { maxLength: 40 })
        .map((chars) => chars.join('')),
    );
    fc.assert(
      fc.property(noise, (text) => {
        try {
          expect(parse(text)).toEqual(JSON.parse(text));
        } catch (error) {
          expect(error).toBeInstanceOf(IJsonError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('accepts nothing that cannot be written again', () => {
    const numbers = fc.stringMatching(
      /^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?$/,
    );
    const texts = fc.oneof(
      fc.json(),
      numbers,
      fc.array(numbers).map((all) => `[${all.join(',')}]`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let value: unknown;
        try {
          value = parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(IJsonError);
          return;
        }
        // JSON.stringify writes -0 as 0.
        expect(parse(encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 2000 },
    );
  });

  test('judges a number literal whole, however long it is', () => {
    // Judged in pieces of 400 characters, the first was 0 and the second a small exponent.
    const hidden = `0.${'0'.repeat(397)}1e416`;
    expect(Number(hidden)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    expect(refusal(() => parse(hidden)).message).toContain('2^53-1');
    expect(parse(`0.${'1'.repeat(1000)}`)).toBeCloseTo(1 / 9);
  });

  test.each([
    ['a duplicate key', '{"a":1,"a":2}', 'a duplicate key'],
    ['a duplicate key by an escape', '{"a":1,"\\u0061":2}', 'a duplicate key'],
    ['a duplicate key by a simple escape', '{"/":1,"\\/":2}', 'a duplicate key'],
    ['a duplicate key with space before its colon', '{"a":1,"a" \n:2}', 'a duplicate key'],
    ['a duplicate key in a nested object', '[{"x":{"a":1,"b":{},"a":2}}]', 'a duplicate key'],
    ['`__proto__`', '{"__proto__":{}}', '`__proto__`'],
    ['`__proto__` by escapes', '{"\\u005f_proto_\\u005f":{}}', '`__proto__`'],
    ['a lone surrogate by an escape', '"\\ud800"', 'lone surrogate'],
    ['a lone surrogate by an escape in a key', '{"\\udfff":1}', 'lone surrogate'],
    ['surrogates in the wrong order', '["\\udc00\\ud800"]', 'lone surrogate'],
    ['a lone surrogate as it is', '"\ud800"', 'lone surrogate'],
    ['an integer beyond 2^53-1', '[9007199254740993]', '2^53-1'],
    ['an integer beyond 2^53-1 with a fraction of zero', '9007199254740993.0', '2^53-1'],
    ['an integer beyond 2^53-1 by an exponent', '1e300', '2^53-1'],
    ['a number beyond all doubles', '-1e400', 'not finite'],
  ])('refuses %s', (_kind, text, why) => {
    expect(refusal(() => parse(text)).message).toContain(why);
  });

  test.each([
    ['the same key in two objects', '[{"a":1},{"a":2}]'],
    ['the same key inside and outside', '{"a":{"a":1},"b":[{"a":2}]}'],
    ['a string that equals a key', '{"a":"a","b":["a","a"]}'],
    ['a colon inside strings', '{"a":"b\\":c","b":"x:"}'],
    ['a whole pair of surrogates by escapes', '"\\ud83d\\ude00"'],
    ['a pair of which one half is escaped', '"\ud83d\\ude00"'],
    ['keys of Object.prototype', '{"constructor":1,"toString":2,"hasOwnProperty":3}'],
    ['the largest integer', '[9007199254740991,-9007199254740991]'],
    ['a fraction with many digits', '0.12345678901234567890123456789'],
    ['a number too small for a double', '1e-400'],
    ['brackets inside strings', '["[[[[","}}}}"]'],
  ])('takes %s', (_kind, text) => {
    expect(parse(text, { depthMax: 3, bytesMax: 1000 })).toEqual(JSON.parse(text));
  });

  test.each([
    ['nothing', ''],
    ['an open string', '"abc'],
    ['a string that ends in a backslash', '"abc\\'],
    ['a broken escape', '{"\\u12":1}'],
    ['a control character', '"a\nb"'],
    ['a leading zero', '[01]'],
    ['a bare minus', '-'],
    ['two values', '1 2'],
    ['a byte order mark', '\ufeff{}'],
    ['a trailing comma', '[1,]'],
    ['single quotes', "{'a':1}"],
    ['closing brackets', ']]]]}'],
    ['a comment', '/* */ 1'],
  ])('refuses %s as no JSON', (_kind, text) => {
    expect(refusal(() => parse(text))).toBeInstanceOf(IJsonError);
  });

  test('never quotes the text in its messages', () => {
    for (const text of ['secret', '["secret"', '{"secret" 1}', '"secret\\u12"', 'xxsecretxx']) {
      expect(refusal(() => parse(text)).message).not.toContain('secret');
    }
  });

  test('says where the text breaks when V8 tells', () => {
    expect(refusal(() => parse('{"a" 1}')).message).toMatch(/breaks at position \d+$/);
    expect(refusal(() => parse('{')).message).toMatch(/^`args` must be JSON/);
  });

  test('stops at the bound of depth before it parses', () => {
    const bounds = { depthMax: 200, bytesMax: 50_000_000 };
    expect(refusal(() => parse('['.repeat(20_000_000), bounds)).reason).toBe('depth');
    expect(parse(`${'['.repeat(200)}${']'.repeat(200)}`, bounds)).toBeInstanceOf(Array);
  });

  test('bounds the text in bytes of UTF-8', () => {
    expect(parse('"éé"', { depthMax: 0, bytesMax: 6 })).toBe('éé');
    expect(refusal(() => parse('"éé"', { depthMax: 0, bytesMax: 5 })).reason).toBe('size');
  });

  test.each<[string, (length: number) => string]>([
    ['blanks after a string', (length) => `"a"${' '.repeat(length)}`],
    ['one long string', (length) => `"${'\\u0061'.repeat(length / 6)}"`],
    ['one long number', (length) => `0.${'7'.repeat(length)}`],
    ['many keys', (length) => `{${Array.from({ length: length / 10 }, (_, n) => `"k${n}":1`)}}`],
    ['many short strings', (length) => `[${'"a",'.repeat(length / 4)}1]`],
    ['backslashes', (length) => `"${'\\\\'.repeat(length / 2)}"`],
    ['many empty objects', (length) => `[${'{},'.repeat(length / 3)}1]`],
    ['many open brackets that close', (length) => `[${'[[]],'.repeat(length / 5)}1]`],
  ])('reads %s in time linear in their length', (_kind, make) => {
    const bounds = { depthMax: 200, bytesMax: 10 ** 8 };
    const msFor = (length: number) => {
      const text = make(length);
      const times = Array.from({ length: 5 }, () => {
        const began = performance.now();
        parse(text, bounds);
        return performance.now() - began;
      });
      return Math.min(...times);
    };
    msFor(2 ** 14);
    // Quadratic would be 256 times as much; the bound leaves room for a busy machine.
    expect(msFor(2 ** 19)).toBeLessThan(100 * Math.max(msFor(2 ** 15), 0.2));
  });
});
