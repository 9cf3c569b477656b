import { createRequire } from 'node:module';
import { lintSource } from '@secretlint/core';
import { corpusRows, type SecretRow } from './redaction-corpora.ts';
import type { Finder, Share } from './redaction-quality.ts';

/**
 * The obvious way: one regular expression a category, as in the Python EnforceCore 1.14 and in
 * most packages. They are quadratic on hostile input and know one notation each.
 */
const PLAIN: readonly (readonly [string, RegExp])[] = [
  ['email', /\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b/g],
  ['phone', /(?:\+?1[-.\s]?)?\(?\d{3}\)?[-.\s]?\d{3}[-.\s]?\d{4}\b/g],
  ['ssn', /\b(?!000|666|9\d\d)\d{3}[-\s]?\d{2}[-\s]?\d{4}\b/g],
  [
    'credit_card',
    /\b(?:4\d{3}|5[1-5]\d{2}|3[47]\d{2}|6(?:011|5\d{2}))[-\s]?\d{4}[-\s]?\d{4}[-\s]?\d{1,4}\b/g,
  ],
  ['ip_address', /\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b/g],
  ['aws_access_key', /\b(?:AKIA|ABIA|ACCA|ASIA)[A-Z0-9]{16}\b/g],
  ['github_token', /\bgh[psotr]_[A-Za-z0-9_]{36,255}\b/g],
  ['generic_api_key', /api[_-]?(?:key|secret|token)["']?\s*[:=]\s*["']?[\w-]{16,128}/gi],
  ['bearer_token', /\b[Bb]earer\s+[\w.~+/-]+=*/g],
  [
    'private_key',
    /-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----[\s\S]*?-----END (?:RSA |EC |OPENSSH )?PRIVATE KEY-----/g,
  ],
  [
    'password_in_url',
    /\b(?:https?|ftp|postgres|mysql|mongodb|redis|amqp):\/\/[^\s:@]+:[^\s@]{3,}@\S+/g,
  ],
];

/** The plain set of regular expressions as a finder. */
export const findPlain: Finder = (text) =>
  PLAIN.flatMap(([category, pattern]) =>
    [...text.matchAll(pattern)].map((match) => ({
      category,
      start: match.index,
      end: match.index + match[0].length,
    })),
  );

// Required, not imported: the package's types refer to packages that it does not bring.
const require = createRequire(import.meta.url);
const { creator } = require('@secretlint/secretlint-rule-preset-recommend');

/** @secretlint's recommended preset on the secrets corpus: vendor, named, harmless texts hit. */
export async function secretlintQuality(): Promise<
  Readonly<Record<'named' | 'vendor' | 'harmless', Share>>
> {
  const none = { hits: 0, of: 0 };
  const counts: Record<'named' | 'vendor' | 'harmless', Share> = {
    named: none,
    vendor: none,
    harmless: none,
  };
  for (const { text, type, label } of corpusRows<SecretRow>('secrets')) {
    const kind = label === 'negative' ? 'harmless' : type === 'vendor_token' ? 'vendor' : 'named';
    const { messages } = await lintSource({
      source: { content: text, filePath: 'row.txt', ext: '.txt', contentType: 'text' },
      options: {
        noPhysicFilePath: true,
        config: {
          rules: [
            { id: '@secretlint/secretlint-rule-preset-recommend', rule: creator, options: {} },
          ],
        },
      },
    });
    const { hits, of } = counts[kind];
    counts[kind] = { hits: hits + (messages.length > 0 ? 1 : 0), of: of + 1 };
  }
  return counts;
}
