import { piiDetectors, secretDetectors } from '../../src/redaction/detectors.ts';
import { PII_CATEGORIES, type Redactor, SECRET_CATEGORIES } from '../../src/redaction/index.ts';
import { flattened } from '../../src/redaction/text/flat.ts';
import { corpusRows, type PiiRow } from './redaction-corpora.ts';

const SIZE = 1_000_000;
const CHUNK = 16 * 1024;
const ROUNDS = 9;

/** One million characters each of plain prose, JSON, and text full of personal data; all ASCII. */
export function speedTexts(): Readonly<Record<string, string>> {
  const ascii = ({ text }: PiiRow) => /^[\0-\x7f]*$/.test(text);
  const rows = corpusRows<PiiRow>('pii').filter(ascii);
  const calls = corpusRows<unknown>('calls-toolemu').map((call) => JSON.stringify(call));
  return {
    prose: filled(
      rows
        .filter(({ kind, text }) => kind === 'negative' && text.length > 60)
        .map(({ text }) => text),
    ),
    JSON: filled(calls.filter((text) => /^[\0-\x7f]*$/.test(text))),
    'dense PII': filled(rows.filter(({ kind }) => kind === 'positive').map(({ text }) => text)),
  };
}

function filled(pieces: readonly string[]): string {
  let text = '';
  for (let at = 0; text.length < SIZE; at += 1) text += `${pieces[at % pieces.length]}\n`;
  return text.slice(0, SIZE);
}

/** Megabytes (10⁶ UTF-16 units) a second of CPU time, in chunks of 16 KiB: the best of nine. */
export function megabytesPerSecond(find: (text: string) => unknown, text: string): number {
  const chunks: string[] = [];
  for (let at = 0; at < text.length; at += CHUNK) chunks.push(text.slice(at, at + CHUNK));
  const times = Array.from({ length: ROUNDS }, () => cpuMs(() => chunks.forEach(find)));
  return text.length / 1000 / Math.min(...times);
}

/** Latency of a clean string of 1 KiB, in microseconds. */
export function cleanLatency(redactor: Redactor): { readonly p50: number; readonly p99: number } {
  const text = filled(['The quick brown fox jumps over the lazy dog']).slice(0, 1024);
  const times = Array.from({ length: 20_000 }, () => {
    const start = process.hrtime.bigint();
    redactor.redactText(text);
    return Number(process.hrtime.bigint() - start) / 1000;
  });
  const sorted = times.slice(5000).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] as number;
  return { p50: at(0.5), p99: at(0.99) };
}

const DETECTORS = [...secretDetectors(SECRET_CATEGORIES), ...piiDetectors(PII_CATEGORIES)];

/** CPU milliseconds of the slowest detector for 1,000,000 characters of a hostile piece. */
export function slowestDetector(piece: string): number {
  const text = flattened(piece.repeat(Math.ceil(SIZE / piece.length)).slice(0, SIZE));
  return Math.max(
    ...DETECTORS.map((detect) =>
      Math.min(...[1, 2, 3].map(() => cpuMs(() => detect({ text, hint: '' }, [])))),
    ),
  );
}

/** CPU milliseconds for 1,000,000 characters of a hostile piece, and how much 250,000 cost. */
export function hostileCost(redactor: Redactor, piece: string): { ms: number; ratio: number } {
  const text = piece.repeat(Math.ceil(SIZE / piece.length)).slice(0, SIZE);
  const cost = (sample: string) =>
    Math.min(...[1, 2, 3].map(() => cpuMs(() => redactor.redactText(sample))));
  const quarter = cost(text.slice(0, SIZE / 4));
  const ms = cost(text);
  return { ms, ratio: ms / quarter };
}

function cpuMs(run: () => unknown): number {
  const start = process.cpuUsage();
  run();
  return Math.max(0.001, process.cpuUsage(start).user / 1000);
}
