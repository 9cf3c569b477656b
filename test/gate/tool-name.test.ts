import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkToolName } from '../../src/gate/index.ts';

/** Any code points, halves of pairs too. The library's own generator takes a second to start. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 300 })
  .map((points) => String.fromCodePoint(...points));

test.each([
  'a',
  'search_web',
  'mcp.server:tool',
  'ns/tool-1',
  '<lambda>',
  'x'.repeat(256),
  '__proto__',
])('accepts %s', (name) => expect(checkToolName(name)).toBeNull());

describe('refuses', () => {
  test.each([
    ['an empty name', ''],
    ['257 characters', 'x'.repeat(257)],
    ['a megabyte', 'x'.repeat(1_000_000)],
    ['a Cyrillic homoglyph', '\u0435xecute_shell'],
    ['fullwidth letters', '\uff45xecute'],
    ['a zero-width space', 'exe\u200bcute'],
    ['a soft hyphen', 'exe\u00adcute'],
    ['a right-to-left override', '\u202eexecute'],
    ['a combining mark', 'e\u0301xecute'],
    ['a mathematical letter', '\u{1d41e}xecute'],
    ['a tag character', 'execute\u{e0041}'],
    ['a space', 'execute shell'],
    ['a trailing line break', 'execute\n'],
    ['a NUL', 'execute\0'],
    ['an escape sequence', '\u001b[31mexecute'],
    ['a lone surrogate', 'execute\ud800'],
    ['a glob', 'execute*'],
    ['a Kelvin sign, whose lower case is k', '\u212aill'],
    ['a long s, whose upper case is S', '\u017fhell'],
  ])('%s', (_, name) => {
    expect(checkToolName(name)).toMatchObject({ rule: 'tool', code: 'ENF_CALL_TOOL_NAME' });
  });

  test('every name that is not its own folding', () => {
    fc.assert(
      fc.property(anyText, (name) => {
        const folds = name.normalize('NFKC') !== name;
        return !folds || checkToolName(name) !== null;
      }),
    );
  });
});

test('says what a disguised name looks like, in ASCII only', () => {
  const reason = checkToolName('exe\u200bcute');
  expect(reason?.message).toBe('the tool name `exe\\u200bcute` only looks like `execute`');
});

test('a message has printable ASCII only, and few of it', () => {
  fc.assert(
    fc.property(anyText, (name) => {
      const message = checkToolName(name)?.message ?? '';
      return /^[\x20-\x7e]*$/.test(message) && message.length < 600;
    }),
  );
});
