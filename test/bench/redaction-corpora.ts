import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A labelled text with spans of personal data. */
export interface PiiRow {
  readonly text: string;
  readonly expected: readonly {
    readonly start: number;
    readonly end: number;
    readonly type: string;
  }[];
  readonly source: string;
  readonly kind: 'positive' | 'negative';
}

/** A text that holds a secret, or only looks like it. */
export interface SecretRow {
  readonly text: string;
  readonly type: string;
  /** The rule or test file of the source that it belongs to. */
  readonly rule: string;
  readonly label: 'positive' | 'negative';
  readonly source: string;
}

/** An attempt to get something past redaction. `js` payloads are expressions. */
export interface EvasionRow {
  readonly id: string;
  readonly technique: string;
  readonly kind: 'text' | 'js' | 'chunks' | 'byte_chunks' | 'object' | 'args' | 'bytes';
  readonly payload: unknown;
  readonly must_not_appear: readonly string[];
  readonly tier: 'must' | 'should' | 'could';
}

/** Where the corpora lie: beside the checkout, never in it. */
export const CORPORA = '../shared/corpora';

/**
 * Which half a row belongs to when a corpus is split by where its texts come from, so that texts
 * of one maker are never in both.
 */
export function halfOf(row: PiiRow | SecretRow): 0 | 1 {
  let hash = 0;
  for (const character of 'rule' in row ? row.rule : row.source) {
    hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0;
  }
  return (((hash >>> 7) ^ hash) & 1) as 0 | 1;
}

/** The rows of one corpus. */
export function corpusRows<Row>(name: string): Row[] {
  const lines = gunzipSync(readFileSync(`${CORPORA}/${name}.jsonl.gz`)).toString('utf8');
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}
