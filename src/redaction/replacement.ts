import { createHash, createHmac } from 'node:crypto';
import { maskOf, type Strategy } from './categories.ts';
import type { Finding } from './finding.ts';

/**
 * What kind of text an argument is. In a command `<EMAIL>` would be a redirection, so there and in
 * paths, SQL and URLs the replacement is one plain word.
 */
export type ArgumentKind = 'command' | 'path' | 'sql' | 'url' | 'data';

/** How the matches of one category are replaced. */
export interface ReplacementRule {
  readonly strategy: Strategy;
  /** Default: `<CATEGORY>`. */
  readonly placeholder?: string | undefined;
  readonly salt?: string | undefined;
}

/**
 * The text that takes the place of a match. Depends on nothing but its arguments: equal values
 * get equal hashes.
 *
 * In a command, path, SQL or URL it is a word of letters, digits and `_`, whatever the strategy:
 * `EMAIL_REDACTED`, or `SHA256_` and the hash. Removing is no choice there: a path that ends in a
 * removed name is another path.
 *
 * @param matched - the original text, used for the hash only
 */
export function replacementFor(
  category: string,
  matched: string,
  rule: ReplacementRule,
  kind: ArgumentKind,
): string {
  if (kind !== 'data') return wordFor(category, matched, rule);
  switch (rule.strategy) {
    case 'placeholder':
      return rule.placeholder ?? `<${category.toUpperCase()}>`;
    case 'mask':
      return maskOf(category);
    case 'hash':
      return `[SHA256:${digest(matched, rule.salt)}]`;
    case 'remove':
      return '';
  }
}

function wordFor(category: string, matched: string, rule: ReplacementRule): string {
  if (rule.strategy === 'hash') return `SHA256_${digest(matched, rule.salt)}`;
  return `${category.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_REDACTED`;
}

/** First 16 hex digits of SHA-256, or of HMAC-SHA256 when there is a key. */
function digest(matched: string, salt: string | undefined): string {
  const hash = salt === undefined ? createHash('sha256') : createHmac('sha256', salt);
  return hash.update(matched, 'utf8').digest('hex').slice(0, 16);
}

/**
 * A text with its findings replaced.
 *
 * @param findings - disjoint, in order of position
 * @param replace - gives what takes the place of a match
 */
export function replaceFindings(
  text: string,
  findings: readonly Finding[],
  replace: (finding: Finding, matched: string) => string,
): string {
  if (findings.length === 0) return text;
  let redacted = '';
  let from = 0;
  for (const finding of findings) {
    redacted += text.slice(from, finding.start);
    redacted += replace(finding, text.slice(finding.start, finding.end));
    from = finding.end;
  }
  return redacted + text.slice(from);
}
