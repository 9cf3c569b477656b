import { PolicyError } from '../errors.ts';
import {
  PII_CATEGORIES,
  type PiiCategory,
  SECRET_CATEGORIES,
  type SecretCategory,
  STRATEGIES,
  type Strategy,
} from './categories.ts';
import { checkRules } from './check-rules.ts';
import { piiDetectors, secretDetectors } from './detectors.ts';
import type { Detector } from './finding.ts';
import { type CompiledPattern, PatternRegistry } from './pattern-registry.ts';
import { scanThroughRemovals } from './removals.ts';
import type { ReplacementRule } from './replacement.ts';
import type { PiiRules, RedactionRules, SecretRules } from './rules.ts';
import { createScanner, type Scanner } from './scanner.ts';

/** Which way a value goes: to the tool, or back from it. */
export type Direction = 'input' | 'output';

/** Rules, compiled: what to look for in which direction, and what to put there. */
export interface RedactionPlan {
  readonly input: Scanner;
  readonly output: Scanner;
  /** For exempt places: everything but personal data. */
  readonly exemptScanner: Scanner;
  readonly exempt: readonly string[];
  readonly hasPatterns: boolean;
  /** How the findings of a category are replaced. */
  readonly replacementOf: (category: string) => ReplacementRule;
}

/** The sections that are on, with their defaults. */
interface Wanted {
  readonly pii: Required<Pick<PiiRules, 'categories' | 'strategy' | 'direction' | 'exempt'>>;
  readonly salt: string | undefined;
  readonly secrets: { readonly categories: readonly SecretCategory[]; readonly strategy: Strategy };
}

/**
 * Compiles rules.
 *
 * @throws {PolicyError} `ENF_REDACTION_RULES` for names that do not exist,
 *   `ENF_REDACTION_PATTERN` for a custom pattern that cannot run
 */
export function planFor(
  rules: RedactionRules,
  registry: PatternRegistry | undefined,
): RedactionPlan {
  checkRules(rules);
  const wanted = wantedBy(rules);
  const patterns = [...(registry?.patterns ?? []), ...ownPatterns(rules)];
  const replacementOf = replacements(wanted, patterns);
  const always: readonly Detector[] = [
    ...patterns.map((pattern) => pattern.detect),
    ...secretDetectors(wanted.secrets.categories),
  ];
  const isRemoved = (category: string) => replacementOf(category).strategy === 'remove';
  const scannerOf = (categories: readonly PiiCategory[]) =>
    scanThroughRemovals(createScanner([...always, ...piiDetectors(categories)]), isRemoved);
  const { categories, direction, exempt } = wanted.pii;
  return {
    input: scannerOf(direction === 'output' ? [] : categories),
    output: scannerOf(direction === 'input' ? [] : categories),
    exemptScanner: scannerOf([]),
    exempt,
    hasPatterns: patterns.length > 0,
    replacementOf,
  };
}

function wantedBy({ pii_redaction: pii, secret_detection: secrets }: RedactionRules): Wanted {
  const wanted: Wanted = {
    pii: {
      categories: isOn(pii) ? (pii.categories ?? PII_CATEGORIES) : [],
      strategy: pii?.strategy ?? 'placeholder',
      direction: pii?.direction ?? 'both',
      exempt: pii?.exempt ?? [],
    },
    salt: pii?.salt,
    secrets: {
      categories: isOn(secrets) ? categoriesOf(secrets) : [],
      strategy: secrets?.strategy ?? 'placeholder',
    },
  };
  checkOneOf('pii_redaction.categories', wanted.pii.categories, PII_CATEGORIES);
  checkOneOf('pii_redaction.direction', [wanted.pii.direction], ['input', 'output', 'both']);
  checkOneOf('pii_redaction.strategy', [wanted.pii.strategy], STRATEGIES);
  checkOneOf('secret_detection.categories', wanted.secrets.categories, SECRET_CATEGORIES);
  checkOneOf('secret_detection.strategy', [wanted.secrets.strategy], STRATEGIES);
  return wanted;
}

function isOn<Section extends { readonly enabled?: boolean }>(
  section: Section | undefined,
): section is Section {
  return section !== undefined && section.enabled !== false;
}

function categoriesOf({ categories = 'all' }: SecretRules): readonly SecretCategory[] {
  if (categories === 'all') return SECRET_CATEGORIES;
  return typeof categories === 'string' ? [categories] : categories;
}

function ownPatterns({
  custom_patterns: patterns = [],
}: RedactionRules): readonly CompiledPattern[] {
  const registry = new PatternRegistry();
  for (const pattern of patterns) registry.register(pattern);
  return registry.patterns;
}

function replacements(
  { pii, secrets, salt }: Wanted,
  patterns: readonly CompiledPattern[],
): (category: string) => ReplacementRule {
  const own = { strategy: pii.strategy, salt };
  const secret = { strategy: secrets.strategy, salt };
  const rules = new Map<string, ReplacementRule>([
    ...SECRET_CATEGORIES.map((category) => [category, secret] as const),
    ...patterns.map(({ name, placeholder }) => [name, { ...own, placeholder }] as const),
  ]);
  return (category) => rules.get(category) ?? own;
}

function checkOneOf(rule: string, values: readonly string[], allowed: readonly string[]): void {
  const wrong = values.find((value) => !allowed.includes(value));
  if (wrong === undefined) return;
  throw new PolicyError(
    'ENF_REDACTION_RULES',
    `\`${rule}\`: expected one of ${allowed.join(', ')}, got \`${wrong}\``,
    { details: { rule, allowed } },
  );
}
