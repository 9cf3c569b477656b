import { PolicyError } from '../errors.ts';
import type { Direction } from './plan.ts';
import type { RedactionRules } from './rules.ts';

/** The keys of each section; what else is there is a mistake that would redact nothing. */
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  pii_redaction: ['enabled', 'categories', 'strategy', 'direction', 'exempt', 'salt'],
  secret_detection: ['enabled', 'categories', 'strategy'],
};
const KEYS = [...Object.keys(SECTIONS), 'custom_patterns'];
const PATTERN_KEYS = ['name', 'pattern', 'validator', 'placeholder'];
export const DIRECTIONS: readonly Direction[] = ['input', 'output'];

/**
 * Checks what types cannot hold for callers in JavaScript: no key that means nothing, lists where
 * lists belong.
 *
 * @throws {PolicyError} `ENF_REDACTION_RULES`
 */
export function checkRules(rules: RedactionRules): void {
  checkKeys('rules', rules, KEYS);
  for (const [name, keys] of Object.entries(SECTIONS)) {
    const section: unknown = rules[name as keyof RedactionRules];
    if (section !== undefined) checkSection(name, section, keys);
  }
  const patterns: unknown = rules.custom_patterns ?? [];
  if (!Array.isArray(patterns)) throw wrong('custom_patterns', 'a list of patterns', patterns);
  for (const pattern of patterns) checkKeys('custom_patterns', pattern, PATTERN_KEYS);
}

/** @throws {PolicyError} `ENF_REDACTION_RULES` for anything but `input` and `output` */
export function checkDirection(direction: Direction): void {
  if (!DIRECTIONS.includes(direction)) throw wrong('direction', DIRECTIONS.join(' or '), direction);
}

function checkSection(name: string, section: unknown, keys: readonly string[]): void {
  checkKeys(name, section, keys);
  const { enabled, categories, exempt, salt } = section as Readonly<Record<string, unknown>>;
  if (enabled !== undefined && typeof enabled !== 'boolean') {
    throw wrong(`${name}.enabled`, 'true or false', enabled);
  }
  for (const [key, list] of Object.entries({ categories, exempt })) {
    // `all`, or one category
    const isText = name === 'secret_detection' && typeof list === 'string';
    if (list !== undefined && !isText && !isTexts(list)) {
      throw wrong(`${name}.${key}`, 'a list of texts', list);
    }
  }
  if (salt !== undefined && (typeof salt !== 'string' || salt === '')) {
    throw wrong(`${name}.salt`, 'a text of one character or more', typeof salt);
  }
}

function checkKeys(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(name, 'an object', value);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw wrong(name, `no keys but ${known.join(', ')}`, unknown);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function wrong(rule: string, expected: string, actual: unknown): PolicyError {
  const shown = typeof actual === 'string' ? `\`${actual.slice(0, 64)}\`` : kindOf(actual);
  return new PolicyError('ENF_REDACTION_RULES', `\`${rule}\`: expected ${expected}, got ${shown}`, {
    details: { rule },
  });
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value;
}
