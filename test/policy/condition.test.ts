import { run } from '@bufbuild/cel';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/call.ts';
import { compileCondition } from '../../src/policy/index.ts';

const holds = (source: string, args: Json, rest: object = {}): boolean =>
  compileCondition(source).holds({ tool: 'send', args, context: { agent: 'a1' }, now: 0, ...rest });

describe('holds', () => {
  test.each<[string, Json]>([
    ['tool == "send"', {}],
    ['args.amount < 500.0', { amount: 499.99 }],
    ['args.n == 1', { n: 1 }],
    ['args.path.startsWith("/work/") && !args.path.contains("..")', { path: '/work/a' }],
    ['args.to.all(r, r.endsWith("@corp.com"))', { to: ['a@corp.com'] }],
    ['args.rows.exists(r, r.tags.exists(t, t == "x"))', { rows: [{ tags: ['y', 'x'] }] }],
    ['args.url.matches("^https://[a-z.]+/$")', { url: 'https://a.b/' }],
    ['args.l.all(x, x.matches("^a") && !x.matches("z"))', { l: ['a', 'ab'] }],
    ['args.s.matches(r"\\d\\.")', { s: '1.' }],
    ["args.s.matches('it\\'s')", { s: "it's" }],
    ['matches(args.url, "^a")', { url: 'ab' }],
    ['args["odd key"] == null', { 'odd key': null }],
    ['!has(args.x)', {}],
    ['args.?x.orValue("d") == "d"', {}],
    ['context.agent in ["a1", "a2"]', {}],
    ['now < timestamp("1970-01-02T00:00:00Z")', {}],
    ['size(args.list) <= 2', { list: [1, 2] }],
    ['args.x > 1.0 ? args.y == "a" : args.y == "b"', { x: 2, y: 'a' }],
    ['-args.x == -1.0 && 2 + 3 * 4 == 14 && (2 + 3) * 4 == 20', { x: 1 }],
    ['args.s.matches("a|b") || args.s.matches("c")', { s: 'c' }],
    ['{"a": 1}["a"] == 1 && [1, 2][0] == 1', {}],
    ['cel.bind(x, args.a, x == "v")', { a: 'v' }],
  ])('%s', (source, args) => {
    expect(holds(source, args)).toBe(true);
  });
});

describe('cannot be told, which denies', () => {
  test.each<[string, string, Json]>([
    ['a missing key', 'args.amount < 5.0', {}],
    ['a missing key of nothing', 'args.a.b == 1', { a: null }],
    ['another type', 'args.amount < 5.0', { amount: '3' }],
    ['a list where a text is expected', 'args.x.startsWith("a")', { x: ['a'] }],
    ['an inherited property', 'args.constructor == 1', {}],
    ['a prototype', 'args.__proto__ == 1', {}],
    ['a method of strings', 'args.x.length > 0', { x: 'abc' }],
    ['a method of arrays', 'args.x.length > 0.0', { x: [1] }],
    ['a result that is no boolean', 'args.x', { x: 'true' }],
    ['mixed int and double', 'args.n + 1 > 2', { n: 2 }],
  ])('%s', (_, source, args) => {
    expect(() => holds(source, args)).toThrow();
  });
});

describe('does not compile', () => {
  test.each<[string, string, string]>([
    ['a syntax error', 'args.x ==', 'is not a valid condition'],
    ['an unknown variable', 'arg.x == 1', 'Unknown variable: arg'],
    ['an unknown function', 'shell(args.x)', 'is not a valid condition'],
    ['a text', '"true"', 'must be true or false, gives string'],
    ['a pattern from the arguments', 'args.s.matches(args.p)', 'must be written out'],
    ['a pattern that is put together', 'args.s.matches("a" + "b")', 'must be written out'],
    [
      'a pattern that RE2 does not know',
      'args.s.matches("(?=a)")',
      'is not a pattern in RE2 syntax',
    ],
    ['a back-reference', 'args.s.matches("(a)\\\\1")', 'is not a pattern in RE2 syntax'],
    [
      'three nested comprehensions',
      'args.a.all(x, args.b.all(y, args.c.all(z, x == y)))',
      'nests more than 2',
    ],
    ['a deep tree', `${'('.repeat(60)}true${')'.repeat(60)}`, 'Exceeded maxDepth'],
    ['a huge tree', Array(1500).fill('tool == "a"').join(' || '), 'is not a valid condition'],
    ['a long list', `tool in [${Array(200).fill('"a"').join(', ')}]`, 'is not a valid condition'],
  ])('%s', (_, source, message) => {
    expect(() => compileCondition(source)).toThrow(message);
  });
});

describe('bounded work', () => {
  const big = 'a'.repeat(1_000_000);
  test.each<[string, string, Json]>([
    [
      'nested comprehensions over long lists',
      'args.a.all(x, args.a.all(y, x == y))',
      { a: Array(10_000).fill(1) },
    ],
    [
      'a search of a long text for every element',
      'args.a.all(x, args.s.contains(x))',
      { a: Array(10_000).fill('b'), s: big },
    ],
    [
      'a long text that is split and looked through twice',
      'args.s.split("a").all(x, args.s.split("a").all(y, x == y))',
      { s: big },
    ],
    ['a pattern with many states on a long text', 'args.s.matches("[01]*1[01]{20}$")', { s: big }],
    ['a text that is doubled many times', `${'args.s + '.repeat(40)}args.s == ""`, { s: big }],
  ])('%s is refused before it starts', (_, source, args) => {
    const condition = compileCondition(source);
    expect(() => condition.holds({ tool: 't', args, context: {}, now: 0 })).toThrow(RangeError);
  });

  test('an ordinary search of a long text is not', () => {
    expect(holds('!args.s.contains("needle") && args.s.matches("^a")', { s: big })).toBe(true);
  });
});

/** The oracle takes maps, not objects. */
function asMaps(value: Json): never {
  if (Array.isArray(value)) return value.map(asMaps) as never;
  if (typeof value !== 'object' || value === null) return value as never;
  return new Map(Object.entries(value).map(([key, child]) => [key, asMaps(child)])) as never;
}

/** Another implementation of CEL, by the authors of the conformance tests. */
function oracle(source: string, args: Json): boolean | 'error' {
  try {
    const result: unknown = run(source, { tool: 'send', args: asMaps(args), context: new Map() });
    return typeof result === 'boolean' ? result : 'error';
  } catch {
    return 'error';
  }
}

function ours(source: string, args: Json): boolean | 'error' {
  try {
    return holds(source, args, { context: {} });
  } catch {
    return 'error';
  }
}

describe('means what another implementation says it means', () => {
  const sources = [
    'args.a < 3.0',
    'args.a == args.b',
    'args.a != "x"',
    'args.s.startsWith("ab")',
    'args.s.contains("b")',
    'args.s.endsWith("")',
    'has(args.a)',
    '!has(args.a) || args.a > 1.0',
    'args.l.all(x, x < 3.0)',
    'args.l.exists(x, x == 2.0)',
    'args.l.exists_one(x, x == 2.0)',
    'size(args.l) > 1',
    'size(args.s) == 3',
    '2.0 in args.l',
    'args.l.map(x, x * 2.0).exists(y, y == 4.0)',
    'args.l.filter(x, x > 1.0).size() == 1',
    'args.o.k == "v"',
    '"k" in args.o',
    'args.s.matches("^a.*c$")',
    'args.s.matches("b")',
    'args.s < "b"',
    'args.a < 1.0 || args.s == "abc"',
    'args.missing == 1 || true',
    'true || args.missing == 1',
    'args.missing == 1 && false',
    'args.a > 0.0 ? args.s == "abc" : args.missing == 1',
    'tool == "send"',
    'int(args.a) % 2 == 0',
    'string(args.b) == "true"',
    'args.n == null',
    'args.l[0] == 1.0',
    'args.l[9] == 1.0',
  ];
  const values = fc.record(
    {
      a: fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constant('x'), fc.constant(true)),
      b: fc.oneof(fc.integer({ min: -3, max: 5 }), fc.boolean()),
      s: fc.oneof(fc.constantFrom('abc', 'ab', '', 'é𝄞a'), fc.integer()),
      l: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      o: fc.constantFrom({ k: 'v' }, {}, { k: 1 }),
      n: fc.constant(null),
    },
    { requiredKeys: [] },
  );

  test.each(sources)('%s', (source) => {
    fc.assert(
      fc.property(values, (args) => {
        expect(ours(source, args as Json)).toEqual(oracle(source, args as Json));
      }),
      { numRuns: 60 },
    );
  });
});
