import { expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const ALL = createRedactor({ pii_redaction: {}, secret_detection: {} });

/** What quadratic rules choke on: beginnings without an end, separators, matches side by side. */
const PIECES = [
  ...[
    'a',
    'a.',
    'a.a.a@',
    '@',
    'a@a',
    'a [at] ',
    '" @',
    '1 ',
    '0 ',
    '12 ',
    '1-',
    '1.2.3.4',
    '4111 ',
  ],
  ...[
    '4111 1111 1111 1111',
    '536-22-8731',
    'ann@example.com',
    '+1 ',
    '+49 ',
    'call 1234 ',
    'DE89 3704 ',
  ],
  ...[
    ':',
    '::',
    'f:f',
    '://',
    'a://b:',
    'a://b:c@',
    '-----BEGIN PRIVATE KEY-----',
    '-----',
    'MIIE',
  ],
  ...['eyJ', 'eyJhbGciOiJIUzI1NiJ9.', `gh${'p_'}`, 'glpat-', 'AKIA', 'sk-', 'xoxb-1-', 'AAAA'],
  ...[
    'password',
    'password=',
    'password="',
    'key=',
    'a_key=a',
    '"password":',
    'token: ',
    '--password ',
  ],
  ...['curl -u ', 'mysql -p', 'identified by ', 'bearer ', 'authorization: ', 'aws', 'awsAKIA'],
  ...[
    '%',
    '%25',
    '%41',
    '%2525',
    '&#',
    '&#x',
    '&#0',
    '&amp;',
    '\\',
    '\\u0041',
    '\\x41',
    "'+'",
    '<a>',
  ],
  ...[
    '\u200b',
    'a\u200b',
    '\u0301',
    'а',
    '４',
    '٤',
    '\ud83d',
    '\u202e',
    'YWJj',
    '6162',
    '.atlasv1.',
  ],
];

const filled = (piece: string, length: number) =>
  piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

/** Best of three, in milliseconds of CPU time: other processes do not count. */
function cpuMs(text: string): number {
  const times = [1, 2, 3].map(() => {
    const start = process.cpuUsage();
    ALL.redactText(text);
    return process.cpuUsage(start).user / 1000;
  });
  return Math.min(...times);
}

test.runIf(ENFORCECORE_TEST_SLOW === '1').each(PIECES)(
  'takes at most seven times as long for four times as much of %j',
  (piece) => {
    cpuMs(filled(piece, 20_000));
    // A floor of 20 ms, where the clock and the collector are what is measured.
    const quarter = Math.max(20, cpuMs(filled(piece, 250_000)));
    expect(cpuMs(filled(piece, 1_000_000)) / quarter).toBeLessThan(7);
  },
  120_000,
);

test.each(PIECES)('gives an answer to 20,000 characters of %j', (piece) => {
  const text = filled(piece, 20_000);
  expect(ALL.redactText(text).value).toBeTypeOf('string');
});
