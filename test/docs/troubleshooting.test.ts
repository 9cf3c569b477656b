// Whoever reads a message must find it in the page. Messages are found in the source by their form: a
// cause beside its remedy, and what is refused at the tiers of Linux.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';

const page = readFileSync('docs/troubleshooting.md', 'utf8').replace(/\s+/g, ' ');
const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(`src/${name}`, 'utf8'));

const LITERAL = String.raw`('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|${'`'}(?:[^${'`'}\\]|\\.)*${'`'})`;
const FORMS = [
  new RegExp(String.raw`cause:\s*${LITERAL},?\s*(?:\n\s*)?remedy`, 'g'),
  new RegExp(String.raw`\bcause = ${LITERAL};`, 'g'),
  new RegExp(String.raw`\brefuse\(\s*\w+,\s*${LITERAL}`, 'g'),
  new RegExp(String.raw`'ENF_ISOLATION_UNAVAILABLE',\s*(?:message: )?${LITERAL}`, 'g'),
];
/** Shorter pieces between two values say nothing. */
const PIECE_CHARS_MIN = 8;

/** The fixed pieces of every message, in the order of the source. */
const messages = sources.flatMap((text) =>
  FORMS.flatMap((form) => [...text.matchAll(form)].map(([, literal = '']) => piecesOf(literal))),
);

function piecesOf(literal: string): readonly string[] {
  return literal
    .slice(1, -1)
    .replace(/\\(.)/g, '$1')
    .split(/\$\{[^}]*\}/)
    .map((piece) => piece.replace(/^[\s:`.,;()]+|[\s:`.,;()]+$/g, ''))
    .filter((piece) => piece.length >= PIECE_CHARS_MIN);
}

test('the scan sees the messages', () => {
  expect(messages.length).toBeGreaterThan(40);
});

test.each(
  messages
    .filter((pieces) => pieces.length > 0)
    .map((pieces) => [pieces.join(' … '), pieces] as const),
)('%s', (_title, pieces) => {
  expect(pieces.filter((piece) => !page.includes(piece))).toEqual([]);
});

test('every code of an error that an operator meets is in the page', () => {
  const codes = Object.keys(ERROR_CODES).filter((code) =>
    /^ENF_(STATE|KILL|AUDIT|ISOLATION|SETTINGS|INTERNAL)/.test(code),
  );
  expect(codes.filter((code) => !page.includes(code))).toEqual([]);
});
