import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createRedactor } from '../../../src/redaction/index.ts';
import { CORPORA, corpusRows, type EvasionRow } from '../../bench/redaction-corpora.ts';
import { visibleIn } from '../../bench/redaction-visible.ts';

const ALL = createRedactor({ pii_redaction: {}, secret_detection: {} });
const TOKEN = `gh${'p_'}R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1uXoNi`;
const SSN = '416-55-7309';
const MAIL = 'bob.stone@harbor-mills.net';
const CARD = '5425233430109903';

const each = (text: string, change: (character: string) => string) =>
  [...text].map(change).join('');
const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');
const shift = (zero: number) => (character: string) =>
  /\d/.test(character) ? String.fromCodePoint(zero + Number(character)) : character;

/** How to write a text so that it reads the same and looks different to a program. */
const DISGUISES: readonly (readonly [string, (text: string) => string])[] = [
  ['percent-encoding', (text) => each(text, (c) => `%${hex(c)}`)],
  ['percent-encoding twice', (text) => each(text, (c) => `%25${hex(c)}`)],
  ['percent-encoding thrice', (text) => each(text, (c) => `%2525${hex(c)}`)],
  ['%u escapes', (text) => each(text, (c) => `%u00${hex(c)}`)],
  ['decimal entities', (text) => each(text, (c) => `&#${c.charCodeAt(0)};`)],
  ['hex entities without an end', (text) => each(text, (c) => `&#x000${hex(c)}`)],
  ['entities of entities', (text) => each(text, (c) => `&amp;#${c.charCodeAt(0)};`)],
  ['\\u escapes', (text) => each(text, (c) => `\\u00${hex(c)}`)],
  ['\\u{} escapes', (text) => each(text, (c) => `\\u{${hex(c)}}`)],
  ['\\x escapes', (text) => each(text, (c) => `\\x${hex(c)}`)],
  [
    'octal escapes',
    (text) => each(text, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`),
  ],
  ['zero-width spaces', (text) => each(text, (c) => `${c}\u200b`)],
  ['word joiners', (text) => each(text, (c) => `${c}\u2060`)],
  ['soft hyphens', (text) => each(text, (c) => `${c}\u00ad`)],
  [
    'a hundred joiners at once',
    (text) => `${text.slice(0, 5)}${'\u200d'.repeat(100)}${text.slice(5)}`,
  ],
  ['bidi isolates', (text) => each(text, (c) => `${c}\u2068`)],
  ['variation selectors', (text) => each(text, (c) => `${c}\ufe0f`)],
  ['tag characters', (text) => each(text, (c) => `${c}\u{e0041}`)],
  ['combining marks', (text) => each(text, (c) => `${c}\u0336`)],
  ['full width', (text) => each(text, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0))],
  ['string concatenation', (text) => `'${text.slice(0, 7)}' + '${text.slice(7)}'`],
  ['base64', (text) => Buffer.from(`to ${text} now`).toString('base64')],
  ['base64url', (text) => Buffer.from(`to ${text} now`).toString('base64url')],
  [
    'base64 of base64',
    (text) => Buffer.from(Buffer.from(`to ${text}!`).toString('base64')).toString('base64'),
  ],
  ['base64 of UTF-16', (text) => Buffer.from(`to ${text} now`, 'utf16le').toString('base64')],
  ['hexadecimal', (text) => Buffer.from(`${text}!`).toString('hex')],
];

test.each(DISGUISES)('sees through %s', (_, disguise) => {
  for (const [secret, placeholder] of [
    [TOKEN, '<GITHUB_TOKEN>'],
    [SSN, '<SSN>'],
    [MAIL, '<EMAIL>'],
    [CARD, '<CREDIT_CARD>'],
  ] as const) {
    const hidden = disguise(secret);
    const { value, entities } = ALL.redactText(`see ${hidden} there`);
    expect(value).toContain(placeholder);
    expect(value).toMatch(/^see .*there$/s);
    expect(value).not.toContain(secret.slice(6, 12));
    expect(entities).toHaveLength(1);
  }
});

test.each([
  ['Arabic-Indic', 0x660],
  ['Devanagari', 0x966],
  ['Bengali', 0x9e6],
  ['Thai', 0xe50],
  ['mathematical bold', 0x1d7ce],
  ['N’Ko', 0x7c0],
])('reads %s digits', (_, zero) => {
  expect(ALL.redactText(`no ${each(CARD, shift(zero))}.`).value).toBe('no <CREDIT_CARD>.');
  expect(ALL.redactText(`no ${each(SSN, shift(zero))}.`).value).toBe('no <SSN>.');
});

test.each([
  ['Cyrillic', 'gһр_R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1uXoNi', '<GITHUB_TOKEN>'],
  ['Greek capitals', 'ΑΚΙΑQ7ZT3VHN5LDCEXK2', '<AWS_ACCESS_KEY>'],
  ['en dashes', '416–55–7309', '<SSN>'],
  ['non-breaking spaces', '5425\u00a02334\u00a03010\u00a09903', '<CREDIT_CARD>'],
  ['a right-to-left override', '\u202e9037-55-614\u202c', '\u202e<SSN>\u202c'],
  ['a full-width @', 'bob.stone＠harbor-mills.net', '<EMAIL>'],
  [
    'escaped slashes',
    'https:\\/\\/u:Vx9kTq2pLm7@h.test\\/',
    'https:\\/\\/u:<PASSWORD_IN_URL>@h.test\\/',
  ],
  ['an escape before it', 'line\\n416-55-7309', 'line\\n<SSN>'],
])('reads %s', (_, text, expected) => {
  expect(ALL.redactText(text).value).toBe(expected);
});

test.each([
  'Müller wohnt in Łódź, Ærø und São Paulo; 日本語もあります。',
  'Привет, мир! Ελληνικά και ελληνικοί αριθμοί',
  'progress: 100% of 25% & more <b>bold</b> \\d+\\w* C:\\new\\table',
  'f(x) = x² + 3·x − 5; ½ cup',
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4',
  'internationalization_of_applications_and_services',
])('leaves alone: %s', (text) => {
  expect(ALL.redactText(text).value).toBe(text);
});

const rows = existsSync(CORPORA) ? corpusRows<EvasionRow>('evasions') : [];
if (rows.length === 0) process.stderr.write(`evasion corpus skipped: no ${CORPORA}\n`);

test.skipIf(rows.length === 0)('lets none of the evasions through that must be caught', () => {
  const through = rows
    .filter(({ tier }) => tier === 'must')
    .filter((row) => row.must_not_appear.some((secret) => visibleIn(ALL, row).includes(secret)));
  expect(through.map(({ id, technique }) => `${id} ${technique}`)).toEqual([]);
});
