import { PolicyError } from '../errors.ts';
import {
  PII_CATEGORIES,
  type PiiCategory,
  SECRET_CATEGORIES,
  type SecretCategory,
  STRATEGIES,
} from './categories.ts';
import type { Finding } from './finding.ts';
import { PatternRegistry } from './pattern-registry.ts';
import { scanThroughRemovals } from './removals.ts';
import {
  type ArgumentKind,
  type ReplacementRule,
  replaceFindings,
  replacementFor,
} from './replacement.ts';
import type { RedactionRules, SecretRules } from './rules.ts';
import { createScanner, piiDetectors, type Scanner, secretDetectors } from './scanner.ts';
import { scanInSegments } from './segments.ts';
import { RedactionStream } from './stream.ts';
import { type Entity, type Place, Walk } from './structure/walk.ts';

/** Which way a value goes: to the tool, or back from it. */
export type Direction = 'input' | 'output';

/** How one value is redacted. */
export interface RedactOptions {
  /** Default: `output`. */
  readonly direction?: Direction;
  /** Kinds of strings by path, such as `{ 'args.url': 'url' }`; they hold for what is below, too. */
  readonly kinds?: Readonly<Record<string, ArgumentKind>>;
  /** First part of every path: `args` or `result`. Default: none. */
  readonly root?: string;
}

/** A redacted value and what was found in it. Never the matched text. */
export interface RedactionResult<T> {
  readonly value: T;
  /** Offsets are into the original string at `path`, or into the number as text. */
  readonly entities: readonly Entity[];
  /** Findings by category. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Rules, compiled. Holds no state between calls. */
export interface Redactor {
  /**
   * A redacted copy of a value of any shape; the original is read once and not changed.
   *
   * @throws {EnforceError} `ENF_REDACTION_DEPTH`, `ENF_REDACTION_SIZE` or
   *   `ENF_REDACTION_UNREADABLE`: what cannot be read in full is refused, not passed on
   */
  redact<T>(value: T, options?: RedactOptions): RedactionResult<T>;
  redactText(text: string, options?: { readonly direction?: Direction }): RedactionResult<string>;
  /** What would be redacted in a text, in order of position. */
  detect(text: string, options?: { readonly direction?: Direction }): readonly Entity[];
  /** Redacts a text that arrives in pieces: the output is that of the whole text. */
  stream(options?: { readonly direction?: Direction }): RedactionStream;
}

/**
 * Compiles rules once, for many values.
 *
 * @param rules - `{}` redacts nothing
 * @throws {PolicyError} `ENF_REDACTION_RULES` or `ENF_REDACTION_PATTERN` for rules that cannot hold
 */
export function createRedactor(
  rules: RedactionRules,
  options: { readonly patterns?: PatternRegistry } = {},
): Redactor {
  const plan = planFor(rules, options.patterns);
  const findFor = (direction: Direction) => (text: string, place: Place) =>
    scanInSegments(scannerFor(plan, direction, place.isExempt), { text, hint: place.hint });
  const replace = ({ category }: Finding, matched: string, { kind }: Place) =>
    replacementFor(category, matched, ruleFor(plan, category), kind);
  return {
    redact: (value, { direction = 'output', kinds = {}, root = '' } = {}) => {
      const placeOf = placing(kinds, plan.exempt);
      const walk = new Walk({
        find: findFor(direction),
        replace,
        placeOf,
        readsSmallNumbers: plan.hasPatterns,
      });
      const redacted = walk.value(value, placeOf(ABOVE, root, ''));
      return resultOf(redacted as typeof value, walk.entities);
    },
    redactText: (text, { direction = 'output' } = {}) => {
      const findings = findFor(direction)(text, TEXT);
      const value = replaceFindings(text, findings, (one, matched) => replace(one, matched, TEXT));
      return resultOf(value, findings.map(atTop));
    },
    detect: (text, { direction = 'output' } = {}) => findFor(direction)(text, TEXT).map(atTop),
    stream: ({ direction = 'output' } = {}) =>
      new RedactionStream(scannerFor(plan, direction, false), (finding, matched) =>
        replace(finding, matched, TEXT),
      ),
  };
}

/** A text that is not part of a structure. */
const TEXT: Place = { path: '', hint: '', kind: 'data', isExempt: false, depth: 0 };
/** Above the root of a structure. */
const ABOVE: Place = { ...TEXT, depth: -1 };

interface Plan {
  readonly input: Scanner;
  readonly output: Scanner;
  /** For exempt places: everything but personal data. */
  readonly exemptScanner: Scanner;
  readonly replacements: ReadonlyMap<string, ReplacementRule>;
  readonly exempt: readonly string[];
  readonly hasPatterns: boolean;
}

function planFor(rules: RedactionRules, registry: PatternRegistry | undefined): Plan {
  const pii = rules.pii_redaction?.enabled === false ? undefined : rules.pii_redaction;
  const secrets = rules.secret_detection?.enabled === false ? undefined : rules.secret_detection;
  const piiCategories = pii === undefined ? [] : (pii.categories ?? PII_CATEGORIES);
  const direction = pii?.direction ?? 'both';
  checkOneOf('pii_redaction.categories', piiCategories, PII_CATEGORIES);
  checkOneOf('pii_redaction.direction', [direction], ['input', 'output', 'both']);
  checkOneOf('pii_redaction.strategy', [pii?.strategy ?? 'placeholder'], STRATEGIES);
  checkOneOf('secret_detection.strategy', [secrets?.strategy ?? 'placeholder'], STRATEGIES);
  const secretCategories = secrets === undefined ? [] : categoriesOf(secrets);
  checkOneOf('secret_detection.categories', secretCategories, SECRET_CATEGORIES);
  const patterns = [...(registry?.patterns ?? []), ...ownPatterns(rules)];
  const always = [
    ...patterns.map((pattern) => pattern.detect),
    ...secretDetectors(secretCategories),
  ];
  const secretRule = { strategy: secrets?.strategy ?? 'placeholder', salt: pii?.salt } as const;
  const own = { strategy: pii?.strategy ?? 'placeholder', salt: pii?.salt } as const;
  const replacements = new Map<string, ReplacementRule>([
    ...SECRET_CATEGORIES.map((category) => [category, secretRule] as const),
    ...PII_CATEGORIES.map((category) => [category, own] as const),
    ...patterns.map(({ name, placeholder }) => [name, { ...own, placeholder }] as const),
  ]);
  const isRemoved = (category: string) => replacements.get(category)?.strategy === 'remove';
  const scanner = (categories: readonly PiiCategory[]) =>
    scanThroughRemovals(createScanner([...always, ...piiDetectors(categories)]), isRemoved);
  return {
    input: scanner(direction === 'output' ? [] : piiCategories),
    output: scanner(direction === 'input' ? [] : piiCategories),
    exemptScanner: scanner([]),
    replacements,
    exempt: pii?.exempt ?? [],
    hasPatterns: patterns.length > 0,
  };
}

function categoriesOf({ categories = 'all' }: SecretRules): readonly SecretCategory[] {
  return categories === 'all' ? SECRET_CATEGORIES : categories;
}

function ownPatterns({
  custom_patterns: patterns = [],
}: RedactionRules): PatternRegistry['patterns'] {
  const registry = new PatternRegistry();
  for (const pattern of patterns) registry.register(pattern);
  return registry.patterns;
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

function scannerFor(plan: Plan, direction: Direction, isExempt: boolean): Scanner {
  if (isExempt) return plan.exemptScanner;
  return direction === 'input' ? plan.input : plan.output;
}

function ruleFor(plan: Plan, category: string): ReplacementRule {
  return plan.replacements.get(category) ?? { strategy: 'placeholder' };
}

function placing(
  kinds: Readonly<Record<string, ArgumentKind>>,
  exempt: readonly string[],
): (parent: Place, path: string, hint: string) => Place {
  return (parent, path, hint) => ({
    path,
    hint,
    kind: Object.hasOwn(kinds, path) ? (kinds[path] as ArgumentKind) : parent.kind,
    isExempt: parent.isExempt || exempt.includes(path),
    depth: parent.depth + 1,
  });
}

function atTop({ category, start, end }: Finding): Entity {
  return { category, start, end, path: '' };
}

function resultOf<T>(value: T, entities: readonly Entity[]): RedactionResult<T> {
  const counts: Record<string, number> = {};
  for (const { category } of entities) counts[category] = (counts[category] ?? 0) + 1;
  return { value, entities, counts };
}
