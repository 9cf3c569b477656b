import { checkDirection } from './check-rules.ts';
import type { Finding } from './finding.ts';
import type { PatternRegistry } from './pattern-registry.ts';
import { type Direction, planFor, type RedactionPlan } from './plan.ts';
import { type ArgumentKind, replaceFindings, replacementFor } from './replacement.ts';
import type { RedactionRules } from './rules.ts';
import type { Scanner } from './scanner.ts';
import { scanInSegments } from './segments.ts';
import { RedactionStream } from './stream.ts';
import { type Entity, type Place, Walk } from './structure/walk.ts';

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
    replacementFor(category, matched, plan.replacementOf(category), kind);
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

function scannerFor(plan: RedactionPlan, direction: Direction, isExempt: boolean): Scanner {
  checkDirection(direction);
  if (isExempt) return plan.exemptScanner;
  return direction === 'input' ? plan.input : plan.output;
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
  const counts = new Map<string, number>();
  for (const { category } of entities) counts.set(category, (counts.get(category) ?? 0) + 1);
  return { value, entities, counts: Object.fromEntries(counts) };
}
