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
import { type ArgumentKind, type ReplacementRule, replacementFor } from './replacement.ts';
import type { RedactionRules, SecretRules } from './rules.ts';
import { createScanner, piiDetectors, type Scanner, secretDetectors } from './scanner.ts';
import { scanInSegments } from './segments.ts';
import { RedactionStream } from './stream.ts';
import { type Entity, type Place, type RedactedText, Walk } from './structure/walk.ts';

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
  const redactText = (text: string, direction: Direction, place: Place) =>
    replaceAll(text, plan, direction, place);
  return {
    redact: (value, { direction = 'output', kinds = {}, root = '' } = {}) => {
      const placeOf = placing(kinds, plan.exempt);
      const walk = new Walk({
        redactText: (text, place) => redactText(text, direction, place),
        placeOf,
      });
      const top = { path: '', hint: '', kind: 'data', isExempt: false, depth: -1 } as const;
      const redacted = walk.value(value, placeOf(top, root, ''));
      return resultOf(redacted as typeof value, walk.entities);
    },
    redactText: (text, { direction = 'output' } = {}) => {
      const { text: value, findings } = redactText(text, direction, TEXT);
      return resultOf(value, findings.map(atTop));
    },
    detect: (text, { direction = 'output' } = {}) =>
      scanInSegments(scannerFor(plan, direction, false), { text, hint: '' }).map(atTop),
    stream: ({ direction = 'output' } = {}) =>
      new RedactionStream(scannerFor(plan, direction, false), ({ category }, matched) =>
        replacementFor(category, matched, ruleFor(plan, category), 'data'),
      ),
  };
}

/** A text that is not part of a structure. */
const TEXT: Place = { path: '', hint: '', kind: 'data', isExempt: false, depth: 0 };

interface Plan {
  readonly input: Scanner;
  readonly output: Scanner;
  /** For exempt places: everything but personal data. */
  readonly exemptScanner: Scanner;
  readonly replacements: ReadonlyMap<string, ReplacementRule>;
  readonly exempt: readonly string[];
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
  const scanner = (categories: readonly PiiCategory[]) =>
    createScanner([...always, ...piiDetectors(categories)]);
  const own = { strategy: pii?.strategy ?? 'placeholder', salt: pii?.salt } as const;
  return {
    input: scanner(direction === 'output' ? [] : piiCategories),
    output: scanner(direction === 'input' ? [] : piiCategories),
    exemptScanner: scanner([]),
    replacements: new Map<string, ReplacementRule>([
      ...SECRET_CATEGORIES.map(
        (category) =>
          [category, { strategy: secrets?.strategy ?? 'placeholder', salt: pii?.salt }] as const,
      ),
      ...PII_CATEGORIES.map((category) => [category, own] as const),
      ...patterns.map(({ name, placeholder }) => [name, { ...own, placeholder }] as const),
    ]),
    exempt: pii?.exempt ?? [],
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

function replaceAll(text: string, plan: Plan, direction: Direction, place: Place): RedactedText {
  const scan = scannerFor(plan, direction, place.isExempt);
  const findings = scanInSegments(scan, { text, hint: place.hint });
  if (findings.length === 0) return { text, findings };
  let redacted = '';
  let from = 0;
  for (const { category, start, end } of findings) {
    const matched = text.slice(start, end);
    redacted += text.slice(from, start);
    redacted += replacementFor(category, matched, ruleFor(plan, category), place.kind);
    from = end;
  }
  return { text: redacted + text.slice(from), findings };
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

function atTop(finding: Finding): Entity {
  return { ...finding, path: '' };
}

function resultOf<T>(value: T, entities: readonly Entity[]): RedactionResult<T> {
  const counts: Record<string, number> = {};
  for (const { category } of entities) counts[category] = (counts[category] ?? 0) + 1;
  return { value, entities, counts };
}
