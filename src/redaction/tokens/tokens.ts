import { isAlphanumeric, isDigit } from '../text/characters.ts';
import { goesOnFrom } from '../text/words.ts';
import type { Landmark } from './landmarks.ts';
import { isPlaceholder, looksGenerated, looksRandom } from './secret-value.ts';
import { VENDOR_TOKENS, type VendorToken } from './vendor-tokens.ts';

/** One row of the table, ready to run at the place where its prefix was found. */
interface TokenRule {
  readonly category: string;
  readonly prefix: string;
  readonly head: Head | null;
  readonly body: RegExp;
  readonly within: Within;
}

/** Where a token may start within a longer word. */
type Within = 'anywhere' | 'after-small' | 'nowhere';

interface Head {
  readonly shape: RegExp;
  /** Longest first. */
  readonly lengths: readonly number[];
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const BODY_MAX = 40_000;

const RULES: readonly TokenRule[] = VENDOR_TOKENS.flatMap(rulesOf);
const PREFIXES: readonly string[] = [...new Set(RULES.map(({ prefix }) => prefix))];
/** Rules to try where a prefix was found: its own, and those of shorter prefixes within it. */
const BY_PREFIX: ReadonlyMap<string, readonly TokenRule[]> = new Map(
  PREFIXES.map((prefix) => [prefix, RULES.filter((rule) => prefix.startsWith(rule.prefix))]),
);

/**
 * Tokens that start with a literal: the row's shape decides where one stands. What has the shape
 * but not the randomness is an example.
 *
 * @param categories - of the rows to use
 */
export function tokenLandmark(categories: ReadonlySet<string>): Landmark {
  const words = PREFIXES.filter((prefix) =>
    BY_PREFIX.get(prefix)?.some(({ category }) => categories.has(category)),
  );
  return {
    words,
    isExact: true,
    start: ({ text }, found) => {
      let from = 0;
      return (at, prefix) => {
        if (at < from) return;
        for (const rule of BY_PREFIX.get(prefix) as readonly TokenRule[]) {
          const token = categories.has(rule.category) ? tokenAt(text, at, rule) : null;
          if (token === null) continue;
          found.push({ category: rule.category, ...token });
          from = token.end;
          return;
        }
      };
    },
  };
}

function categoryOf({ category = 'vendor_token' }: VendorToken): string {
  return category;
}

function rulesOf(row: VendorToken): TokenRule[] {
  const category = categoryOf(row);
  const head = row.head && { ...row.head, shape: new RegExp(`^(?:${row.head.shape})$`) };
  const body = new RegExp(`^(?:${row.body})`);
  return row.prefixes.map((prefix) => ({
    category,
    prefix,
    head: head ?? null,
    body,
    within: head === undefined ? withinFor(prefix) : 'nowhere',
  }));
}

/** Where the token around a prefix starts and ends; `null` when there is none. */
function tokenAt(text: string, at: number, { prefix, head, body, within }: TokenRule): Span | null {
  const start = head === null ? at : startOfHead(text, at, head);
  if (start === null || isWithinWord(text, start, within)) return null;
  const from = at + prefix.length;
  const match = body.exec(text.slice(from, from + BODY_MAX));
  if (match === null || runsOn(text, from + match[0].length)) return null;
  const value = text.slice(start, at) + match[0];
  if (/EXAMPLE$/.test(value) || isPlaceholder(value) || !looksGenerated(value)) return null;
  const isTelling = prefix.length > 4 || head !== null;
  return isTelling || looksRandom(value) ? { start, end: from + match[0].length } : null;
}

function startOfHead(text: string, at: number, head: Head): number | null {
  const length = head.lengths.find((one) => at >= one && head.shape.test(text.slice(at - one, at)));
  return length === undefined ? null : at - length;
}

/** A letter or digit that follows, unless capitals turn small: the token is longer than its kind. */
function runsOn(text: string, end: number): boolean {
  const after = text.charCodeAt(end);
  if (!isAlphanumeric(after)) return false;
  const last = text.charCodeAt(end - 1);
  const isCapital = (last >= 65 && last <= 90) || isDigit(last);
  return !(isCapital && after >= 97 && after <= 122);
}

/**
 * A prefix of letters alone must start a word, but a capital one may follow a small letter; a
 * longer prefix with a sign in it, such as `ghp_`, is seen inside a word, too. `task_test_…` has no
 * `sk_test_`.
 */
function withinFor(prefix: string): Within {
  const hasSign = /[^A-Za-z\d]/.test(prefix.slice(0, -1)) && !/^[a-z]{1,2}_/.test(prefix);
  if (hasSign || /^[A-Za-z\d]{3,}_$/.test(prefix)) return 'anywhere';
  return prefix.length >= 4 && prefix === prefix.toUpperCase() ? 'after-small' : 'nowhere';
}

function isWithinWord(text: string, start: number, within: Within): boolean {
  if (within === 'anywhere' || !goesOnFrom(text, start)) return false;
  const before = text.charCodeAt(start - 1);
  return within === 'nowhere' || before < 97 || before > 122;
}
