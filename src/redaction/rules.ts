import type { PiiCategory, SecretCategory, Strategy } from './categories.ts';

/**
 * What is redacted, spelled as in a policy file. A section that is absent is off; one that is
 * present is on unless it says `enabled: false`. `{}` redacts nothing.
 */
export interface RedactionRules {
  readonly pii_redaction?: PiiRules;
  /** Secrets are redacted in both directions and have no exemptions. */
  readonly secret_detection?: SecretRules;
  readonly custom_patterns?: readonly CustomPatternRule[];
}

/** Personal data: which, how, and where. */
export interface PiiRules {
  readonly enabled?: boolean;
  /** Default: all of them. */
  readonly categories?: readonly PiiCategory[];
  /** Default: `placeholder`. */
  readonly strategy?: Strategy;
  /** Default: `both`. */
  readonly direction?: 'input' | 'output' | 'both';
  /** Paths such as `args.to`: what they hold, and what is below, keeps its personal data. */
  readonly exempt?: readonly string[];
  /** Key of the `hash` strategy. Without it, hashes of short numbers can be guessed. */
  readonly salt?: string;
}

/** Secrets: which and how. */
export interface SecretRules {
  readonly enabled?: boolean;
  /** Default: `all`. */
  readonly categories?: 'all' | readonly SecretCategory[];
  /** Default: `placeholder`. */
  readonly strategy?: Strategy;
}

/** A pattern of the user's own. Works in both directions, replaced as `pii_redaction.strategy` says. */
export interface CustomPatternRule {
  /** Category of its findings: letters, digits, `_`, `-`; 1–64 characters. */
  readonly name: string;
  /** RE2 syntax: no look-around, no back-references; at most 1,000 characters. */
  readonly pattern: string;
  /** A check on what matched. Default: `none`. */
  readonly validator?: 'luhn' | 'iban' | 'none';
  /** Default: the name in capitals between `<` and `>`. */
  readonly placeholder?: string;
}
