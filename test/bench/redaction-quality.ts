import { PII_CATEGORIES, type Redactor } from '../../src/redaction/index.ts';
import { corpusRows, type EvasionRow, type PiiRow, type SecretRow } from './redaction-corpora.ts';
import { visibleIn } from './redaction-visible.ts';

/** Finds spans in a text: ours, or a baseline. */
export type Finder = (text: string) => readonly { category: string; start: number; end: number }[];

/** How many of how many. */
export interface Share {
  readonly hits: number;
  readonly of: number;
}

export interface PiiQuality {
  /** Expected spans of which no character but blanks is left. */
  readonly covered: Readonly<Record<string, Share>>;
  /** Findings that overlap an expected span of their type. */
  readonly precise: Readonly<Record<string, Share>>;
  /** Texts without personal data that were altered. */
  readonly cleanHit: Share;
}

/** Personal data: cover, typed precision, clean texts altered. */
export function piiQuality(
  find: Finder,
  isWanted: (row: PiiRow) => boolean = () => true,
): PiiQuality {
  const covered = new Tally();
  const precise = new Tally();
  const clean = new Tally();
  for (const { text, expected, kind } of corpusRows<PiiRow>('pii').filter(isWanted)) {
    const findings = find(text);
    const known = expected.filter(({ type }) => isPii(type));
    for (const span of known) covered.add(span.type, isCovered(text, span, findings));
    for (const { category, start, end } of findings.filter((one) => isPii(one.category))) {
      const isRight = known.some((s) => s.type === category && s.start < end && start < s.end);
      precise.add(category, isRight);
    }
    if (kind === 'negative' && known.length === 0) clean.add('hit', findings.length > 0);
  }
  return { covered: covered.shares, precise: precise.shares, cleanHit: clean.share('hit') };
}

/** Secrets: texts with a finding, by type and by source; harmless texts with one. */
export function secretQuality(
  find: Finder,
  isWanted: (row: SecretRow) => boolean = () => true,
): {
  readonly named: Share;
  readonly vendor: Share;
  readonly independent: Share;
  readonly harmlessHit: Share;
  readonly byType: Readonly<Record<string, Share>>;
  readonly bySource: Readonly<Record<string, Share>>;
} {
  const all = new Tally();
  const types = new Tally();
  const sources = new Tally();
  for (const { text, type, label, source } of corpusRows<SecretRow>('secrets').filter(isWanted)) {
    const isHit = find(text).length > 0;
    if (label === 'negative') {
      all.add('harmless', isHit);
      continue;
    }
    const project = source.split(/[/(]/)[0] as string;
    all.add(type === 'vendor_token' ? 'vendor' : 'named', isHit);
    if (project !== 'gitleaks') all.add('independent', isHit);
    types.add(type, isHit);
    sources.add(project, isHit);
  }
  return {
    named: all.share('named'),
    vendor: all.share('vendor'),
    independent: all.share('independent'),
    harmlessHit: all.share('harmless'),
    byType: types.shares,
    bySource: sources.shares,
  };
}

/** Evasions that did not get through, by tier, and the ids of those that did. */
export function evasionQuality(redactor: Redactor): {
  readonly tiers: Readonly<Record<string, Share>>;
  readonly through: readonly string[];
} {
  const tiers = new Tally();
  const through: string[] = [];
  for (const row of corpusRows<EvasionRow>('evasions')) {
    const seen = visibleIn(redactor, row);
    const isCaught = !row.must_not_appear.some((secret) => seen.includes(secret));
    tiers.add(row.tier, isCaught);
    if (!isCaught) through.push(`${row.id} ${row.tier} ${row.technique}`);
  }
  return { tiers: tiers.shares, through };
}

/** Counts hits by name. */
class Tally {
  readonly #counts = new Map<string, { hits: number; of: number }>();

  add(name: string, isHit: boolean): void {
    const count = this.#counts.get(name) ?? { hits: 0, of: 0 };
    this.#counts.set(name, { hits: count.hits + (isHit ? 1 : 0), of: count.of + 1 });
  }

  share(name: string): Share {
    return this.#counts.get(name) ?? { hits: 0, of: 0 };
  }

  get shares(): Record<string, Share> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function isPii(category: string): boolean {
  return (PII_CATEGORIES as readonly string[]).includes(category);
}

function isCovered(
  text: string,
  span: { readonly start: number; readonly end: number },
  findings: readonly { readonly start: number; readonly end: number }[],
): boolean {
  for (let at = span.start; at < span.end; at += 1) {
    const isGone = findings.some(({ start, end }) => start <= at && at < end);
    if (!isGone && /\S/.test(text[at] as string)) return false;
  }
  return true;
}
