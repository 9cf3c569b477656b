import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createRedactor } from '../../src/redaction/index.ts';
import { findPlain, secretlintQuality } from './redaction-baselines.ts';
import { CORPORA, halfOf } from './redaction-corpora.ts';
import { evasionQuality, piiQuality, type Share, secretQuality } from './redaction-quality.ts';
import {
  cleanLatency,
  hostileCost,
  megabytesPerSecond,
  slowestDetector,
  speedTexts,
} from './redaction-speed.ts';

/** Measures redaction on the corpora beside the checkout and writes `test/bench/redaction.md`. */
const REPORT = 'test/bench/redaction.md';
const HOSTILE = [
  ...['a.a.a@', '@', 'ann@example.com', '0 ', '4111 1111 1111 1111', '1.2.3.4', ':', 'a://b:c@'],
  ...['-----BEGIN PRIVATE KEY-----', 'eyJhbGciOiJIUzI1NiJ9.', 'AKIA', 'AAAA', 'password="', 'key='],
  ...['curl -u ', '%41', '&#0', '\\x41', '\u200b', '٤', 'YWJj'],
];

if (existsSync(CORPORA)) writeFileSync(REPORT, await report());
else process.stderr.write(`no corpora in ${CORPORA}: nothing measured\n`);

async function report(): Promise<string> {
  const all = createRedactor({ pii_redaction: {}, secret_detection: {} });
  const pii = createRedactor({ pii_redaction: {} });
  const secrets = createRedactor({ secret_detection: {} });
  const find = (text: string) => all.detect(text);
  const piiOurs = piiQuality((text) => pii.detect(text));
  const piiPlain = piiQuality((text) => findPlain(text));
  const secretOurs = secretQuality((text) => secrets.detect(text));
  const isPlainSecret = (text: string) =>
    findPlain(text).filter(
      ({ category }) => !['email', 'phone', 'ssn', 'credit_card', 'ip_address'].includes(category),
    );
  const secretPlain = secretQuality(isPlainSecret);
  const secretlint = await secretlintQuality();
  const evasions = evasionQuality(all);
  const latency = cleanLatency(all);
  return [
    '# Redaction, measured',
    '',
    'Written by `npm run measure:redaction`. Corpora: 2,770 texts with personal data or none, 1,609 with secrets or look-alikes, 168 evasions.',
    `Node ${process.version}, ${availableParallelism()} cores; speed in CPU time of one thread, 1 MB = 10⁶ UTF-16 units. "Plain" is one regular expression a category.`,
    '',
    '## Personal data',
    '',
    table(
      ['', 'spans', 'covered', 'typed precision', 'plain: covered', 'plain: precision'],
      [...Object.keys(piiOurs.covered), 'all'].map((type) => {
        const shareOf = (named: Readonly<Record<string, Share>>) =>
          type === 'all' ? sum(named) : (named[type] ?? { hits: 0, of: 0 });
        const measured = [piiOurs.covered, piiOurs.precise, piiPlain.covered, piiPlain.precise];
        return [
          type,
          String(shareOf(piiOurs.covered).of),
          ...measured.map((n) => percent(shareOf(n))),
        ];
      }),
    ),
    '',
    `Texts without personal data that are altered: ${percent(piiOurs.cleanHit)} of ${piiOurs.cleanHit.of} (plain: ${percent(piiPlain.cleanHit)}).`,
    '',
    '## Secrets',
    '',
    'A text counts as hit when anything is found in it. "Independent" are all sources but gitleaks, whose rule set most vendor rows come from.',
    '',
    table(
      ['', 'texts', 'ours', 'plain', '@secretlint preset'],
      [
        [
          'named categories',
          String(secretOurs.named.of),
          percent(secretOurs.named),
          percent(secretPlain.named),
          percent(secretlint.named),
        ],
        [
          'vendor tokens',
          String(secretOurs.vendor.of),
          percent(secretOurs.vendor),
          percent(secretPlain.vendor),
          percent(secretlint.vendor),
        ],
        [
          'independent sources',
          String(secretOurs.independent.of),
          percent(secretOurs.independent),
          percent(secretPlain.independent),
          '–',
        ],
        [
          'harmless texts hit',
          String(secretOurs.harmlessHit.of),
          percent(secretOurs.harmlessHit),
          percent(secretPlain.harmlessHit),
          percent(secretlint.harmless),
        ],
      ],
    ),
    '',
    table(['type', 'texts', 'ours'], shares(secretOurs.byType)),
    '',
    table(['source', 'texts', 'ours'], shares(secretOurs.bySource)),
    '',
    '## Halves',
    '',
    'Both corpora split by source (personal data) and rule (secrets): rules that were fitted to lines would hold in one half only.',
    '',
    table(
      ['', 'PII covered', 'typed precision', 'clean altered', 'named', 'vendor', 'harmless hit'],
      ([0, 1] as const).map((half) => {
        const personal = piiQuality(
          (text) => pii.detect(text),
          (row) => halfOf(row) === half,
        );
        const secret = secretQuality(
          (text) => secrets.detect(text),
          (row) => halfOf(row) === half,
        );
        const cells = [sum(personal.covered), sum(personal.precise), personal.cleanHit];
        return [
          `half ${half + 1}`,
          ...[...cells, secret.named, secret.vendor, secret.harmlessHit].map(percent),
        ];
      }),
    ),
    '',
    '## Evasions',
    '',
    table(['tier', 'attempts', 'caught'], shares(evasions.tiers)),
    '',
    `Through: ${evasions.through.join(', ') || 'none'}.`,
    '',
    '## Speed',
    '',
    table(
      ['MB/s', 'personal data and secrets', 'personal data', 'secrets', 'plain'],
      Object.entries(speedTexts()).map(([name, text]) => [
        name,
        megabytesPerSecond(find, text).toFixed(0),
        megabytesPerSecond((chunk) => pii.detect(chunk), text).toFixed(0),
        megabytesPerSecond((chunk) => secrets.detect(chunk), text).toFixed(0),
        megabytesPerSecond(findPlain, text).toFixed(0),
      ]),
    ),
    '',
    `A clean string of 1 KiB: p50 ${latency.p50.toFixed(0)} µs, p99 ${latency.p99.toFixed(0)} µs.`,
    '',
    '## Hostile input',
    '',
    'CPU time for 1,000,000 characters of one piece repeated: all detectors, decoding and replacing; how many times that of 250,000 it is (4 is linear); and the slowest detector alone.',
    '',
    table(
      ['piece', 'ms', 'ratio', 'slowest detector, ms'],
      HOSTILE.map((piece) => {
        const { ms, ratio } = hostileCost(all, piece);
        const name = `\`${JSON.stringify(piece).slice(1, -1)}\``;
        return [name, ms.toFixed(0), ratio.toFixed(1), slowestDetector(piece).toFixed(0)];
      }),
    ),
    '',
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return lines.join('\n');
}

function shares(named: Readonly<Record<string, Share>>): string[][] {
  return Object.entries(named).map(([name, share]) => [name, String(share.of), percent(share)]);
}

function percent(share: Share | undefined): string {
  return share === undefined || share.of === 0
    ? '–'
    : `${((100 * share.hits) / share.of).toFixed(1)} %`;
}

function sum(named: Readonly<Record<string, Share>>): Share {
  const all = Object.values(named);
  const total = (pick: (share: Share) => number) => all.reduce((so, share) => so + pick(share), 0);
  return { hits: total(({ hits }) => hits), of: total(({ of }) => of) };
}
