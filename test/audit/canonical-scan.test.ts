import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/audit/canonical-json.ts';
import { MemberSpans, scanMembers } from '../../src/audit/canonical-scan.ts';
import type { Json } from '../../src/call.ts';

/** Scans an object text without its closing brace, as it stands in a sealed line. */
function isCanonical(text: string | Buffer): boolean {
  const bytes = Buffer.from(text as string);
  return scanMembers(bytes, 0, bytes.length - 1, new MemberSpans()) && bytes.at(-1) === 0x7d;
}

test.each([
  '{"a":1}',
  '{"a":[],"b":{},"c":[1,"x",null,true,false]}',
  '{"":0}',
  '{"1":1,"10":2,"2":3}',
  '{"a":-1,"b":0,"c":0.5,"d":1e+21,"e":1e-7,"f":-0.001,"g":9007199254740991}',
  '{"a":"\\b\\t\\n\\f\\r\\"\\\\\\u0000\\u001f\u007f\u2028\u20ac\ud83d\ude00"}',
  '{"\u20ac":1,"\ud83d\ude00":2,"\ufb33":3}',
  '{"a\\n":1,"a\\u000b":2,"a!":3}',
])('accepts %s', (text) => {
  expect(isCanonical(text)).toBe(true);
});

test.each([
  '{}',
  '{"b":1,"a":2}',
  '{"a":1,"a":1}',
  '{"a":{"c":1,"b":1}}',
  '{"a": 1}',
  '{"a":1 }',
  ' {"a":1}',
  '{"a":1,}',
  '{"a":01}',
  '{"a":1.0}',
  '{"a":-0}',
  '{"a":1e3}',
  '{"a":1E21}',
  '{"a":1e21}',
  '{"a":1000000000000000000000}',
  '{"a":9007199254740993}',
  '{"a":1e999}',
  '{"a":-}',
  '{"a":.5}',
  '{"a":+1}',
  '{"a":"\\u00e9"}',
  '{"a":"\\u000a"}',
  '{"a":"\\u000B"}',
  '{"a":"\\u0041"}',
  '{"a":"\\/"}',
  '{"a":"\\ud800"}',
  '{"a":"\n"}',
  '{"a":"open}',
  '{"a":tru}',
  '{"a":True}',
  '{"a":undefined}',
  '{"a":[1,]}',
  '{"a":[1 2]}',
  '{"a":[1}',
  '{"a":{"b":1]}',
  '{"a"}',
  '{a:1}',
  '[1]',
  '"x"}',
  '{"\ud83d\ude00":1,"\u20ac":2}',
  '{"\ufb33":1,"\ud83d\ude00":2}',
  '{"a":1}}',
])('refuses %s', (text) => {
  expect(isCanonical(text)).toBe(false);
});

test('bounds the depth', () => {
  const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expect(isCanonical(nested(31))).toBe(true);
  expect(isCanonical(nested(32))).toBe(false);
  expect(isCanonical(nested(100_000))).toBe(false);
});

test('accepts exactly what RFC 8785 writes', () => {
  const objects = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { minKeys: 1 });
  fc.assert(
    fc.property(objects, (value) => {
      expect(isCanonical(canonicalJson(value as Json))).toBe(true);
    }),
  );
});

test('never accepts text that means something else when it is written again', () => {
  const base = canonicalJson({ a: [1, 'x\n', { b: null }], c: -0.5, d: 'é', e: true });
  fc.assert(
    fc.property(fc.nat(base.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
      const text = base.slice(0, at) + String.fromCharCode(code) + base.slice(at + 1);
      if (isCanonical(text)) expect(canonicalJson(JSON.parse(text))).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});

test('refuses more members than any entry has', () => {
  const text = (count: number) =>
    `{${Array.from({ length: count }, (_, i) => `"k${100 + i}":0`).join()}}`;
  expect(isCanonical(text(64))).toBe(true);
  expect(isCanonical(text(65))).toBe(false);
});

test('says where the members are', () => {
  const text = '{"ab":12,"c":"x"}';
  const spans = new MemberSpans();
  expect(scanMembers(Buffer.from(text), 0, text.length - 1, spans)).toBe(true);
  expect(spans.count).toBe(2);
  const members = [0, 1].map((index) => [
    text.slice(spans.nameStart(index), spans.nameEnd(index)),
    text.slice(spans.valueStart(index), spans.valueEnd(index)),
  ]);
  expect(members).toEqual([
    ['ab', '12'],
    ['c', '"x"'],
  ]);
});
