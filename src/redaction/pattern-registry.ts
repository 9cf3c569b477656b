import { RE2JS } from 're2js';
import { PolicyError } from '../errors.ts';
import { PII_CATEGORIES, SECRET_CATEGORIES } from './categories.ts';
import { hasIbanChecksum, hasLuhnChecksum } from './checksums.ts';
import type { Detector, Finding } from './finding.ts';

const BUILT_IN: readonly string[] = [...PII_CATEGORIES, ...SECRET_CATEGORIES];
const PATTERNS_MAX = 100;
const PATTERN_LENGTH_MAX = 1000;
const PLACEHOLDER_LENGTH_MAX = 64;

/** A check on the text that a pattern matched: `false` drops the match. */
export type Validator = 'luhn' | 'iban' | 'none' | ((text: string) => boolean);

/** A pattern of the user's own. */
export interface CustomPattern {
  /** Category of its findings: letters, digits, `_`, `-`; 1–64 characters. */
  readonly name: string;
  /** RE2 syntax: no look-around, no back-references; at most 1,000 characters. */
  readonly pattern: string;
  readonly validator?: Validator;
  /** Default: the name in capitals between `<` and `>`. */
  readonly placeholder?: string;
}

/**
 * Patterns that a program adds to those of its policy files. Compiled at registration with re2js,
 * so every one of them runs in linear time.
 */
export class PatternRegistry {
  readonly #patterns = new Map<string, CompiledPattern>();

  /**
   * Adds a pattern; its findings have the category `name`.
   *
   * @throws {PolicyError} `ENF_REDACTION_PATTERN` for a bad or taken name, a pattern that RE2
   *   does not take or that matches empty text, or more than 100 patterns
   */
  register(pattern: CustomPattern): this {
    if (this.#patterns.has(pattern.name)) throw bad(pattern.name, 'the name is taken');
    if (this.#patterns.size >= PATTERNS_MAX) {
      throw bad(pattern.name, `there are ${PATTERNS_MAX} patterns already`);
    }
    this.#patterns.set(pattern.name, compile(pattern));
    return this;
  }

  /** The registered patterns, in order of registration. */
  get patterns(): readonly CompiledPattern[] {
    return [...this.#patterns.values()];
  }
}

/** A pattern that is ready to run. */
export interface CompiledPattern {
  readonly name: string;
  readonly placeholder: string | undefined;
  readonly detect: Detector;
}

function compile({
  name,
  pattern,
  validator = 'none',
  placeholder,
}: CustomPattern): CompiledPattern {
  if (!/^[A-Za-z\d_-]{1,64}$/.test(name)) {
    throw bad(name.slice(0, 64), 'the name must be 1–64 letters, digits, `_` or `-`');
  }
  if (BUILT_IN.includes(name.toLowerCase())) throw bad(name, 'the name is a built-in category');
  if (placeholder !== undefined && placeholder.length > PLACEHOLDER_LENGTH_MAX) {
    throw bad(name, `the placeholder must have at most ${PLACEHOLDER_LENGTH_MAX} characters`);
  }
  const regex = compileRegex(name, pattern);
  return { name, placeholder, detect: detectorFor(name, regex, validatorFor(name, validator)) };
}

function compileRegex(name: string, pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    throw bad(name, `the pattern must have at most ${PATTERN_LENGTH_MAX} characters`);
  }
  try {
    const regex = RE2JS.compile(pattern);
    if (!regex.matcher('').find()) return regex;
  } catch (cause) {
    throw bad(
      name,
      'the pattern is not RE2 syntax (look-around and back-references are not)',
      cause,
    );
  }
  throw bad(name, 'the pattern matches empty text');
}

function validatorFor(name: string, validator: Validator): (text: string) => boolean {
  if (typeof validator === 'function') return validator;
  switch (validator) {
    case 'luhn':
      return hasLuhnChecksum;
    case 'iban':
      return hasIbanChecksum;
    case 'none':
      return () => true;
    default:
      throw bad(name, `the validator must be luhn, iban, none or a function, got ${validator}`);
  }
}

function detectorFor(category: string, regex: RE2JS, isValid: (text: string) => boolean): Detector {
  return ({ text }, found: Finding[]) => {
    const matcher = regex.matcher(text);
    while (matcher.find()) {
      const finding = { category, start: matcher.start(), end: matcher.end() };
      if (finding.end > finding.start && isValid(text.slice(finding.start, finding.end))) {
        found.push(finding);
      }
    }
  };
}

function bad(name: string, problem: string, cause?: unknown): PolicyError {
  return new PolicyError('ENF_REDACTION_PATTERN', `custom pattern \`${name}\`: ${problem}`, {
    details: { pattern: name },
    cause,
  });
}
