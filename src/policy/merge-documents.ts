import type { Json } from '../call.ts';
import { canonicalJson } from './canonical-json.ts';
import type { PolicyDocument, ToolSections } from './policy-document.ts';
import { isTighter, TIGHTENING_LIMITS } from './tightness.ts';

/**
 * How two policies become one. Only keys that the override really has can change anything, so a
 * child that omits a section keeps the base's protection whole.
 *
 * - `merge`: the override wins for scalars, lists are united, maps are merged deeply.
 * - `narrow`: the same, but lists that grant something are the override's: they may only shrink.
 *
 * In both, what denies only grows, and limits, `isolation.min` and `isolation.require` only tighten.
 */
export type MergeMode = 'merge' | 'narrow';

type Merge = (base: Json, override: Json, mode: MergeMode) => Json;
type JsonMap = { readonly [key: string]: Json };

/** A document over another. Associative in mode `merge`, but for the keywords of `network`. */
export function mergeDocuments(
  base: PolicyDocument,
  override: PolicyDocument,
  mode: MergeMode,
): PolicyDocument {
  return mergeMaps(DOCUMENT)(asJson(base), asJson(override), mode) as unknown as PolicyDocument;
}

/** A tool's sections over those that hold for all tools: never wider than either. */
export function narrowSections(base: ToolSections, tool: ToolSections): ToolSections {
  return mergeMaps(SECTIONS)(asJson(base), asJson(tool), 'narrow') as unknown as ToolSections;
}

/** Documents are plain data; their types only say more about it. */
function asJson(document: object): Json {
  return document as unknown as Json;
}

const overrideWins: Merge = (_, override) => override;

/** What denies or checks: it only grows. */
const united: Merge = (base, override) => union(listOf(base), listOf(override));

/** What grants: united, or in `narrow` the override's alone. */
const granted: Merge = (base, override, mode) =>
  mode === 'narrow' ? override : union(listOf(base), listOf(override));

const tighter =
  (key: string): Merge =>
  (base, override) =>
    isTighter(key, override, base) ? override : base;

/** `all` and `unlimited` stand for more than any list or number. */
const categories: Merge = (base, override) =>
  base === 'all' || override === 'all' ? 'all' : union(listOf(base), listOf(override));

/** By name; the override's entry replaces the base's of the same name only while merging. */
const named: Merge = (base, override) => {
  const names = new Set(listOf(override).map(nameOf));
  return [...listOf(base).filter((entry) => !names.has(nameOf(entry))), ...listOf(override)];
};

/** Patterns that block stay, also when a child uses their name for another pattern. */
const blocking: Merge = united;

/** Windows of both hold: one may be tighter now and the other over time. */
const windows: Merge = (base, override) => {
  const both = union(windowList(base), windowList(override));
  return both.length === 1 ? (both[0] ?? null) : both;
};

/**
 * A keyword takes the place of a map, except for what the map denies. The one section that is not
 * associative: a keyword forgets what was allowed before it.
 */
const network: Merge = (base, override, mode) => {
  if (typeof base === 'string') return override;
  if (typeof override !== 'string') return mergeMaps(NETWORK)(base, override, mode);
  const { denied_domains = [] } = base as JsonMap;
  if (listOf(denied_domains).length === 0) return override;
  const rest = override === 'none' ? { allowed_domains: [] } : { deny_all_other: false };
  return { denied_domains, ...rest };
};

const NETWORK: MergeTable = {
  allowed_domains: granted,
  denied_domains: united,
};

const LIMITS: MergeTable = Object.fromEntries(
  TIGHTENING_LIMITS.map((key): [string, Merge] => [key, tighter(key)]),
);

const SECTIONS: MergeTable = {
  conditions: united,
  pii_redaction: mergeMaps({ categories: united, exempt: granted }),
  secret_detection: mergeMaps({ categories }),
  custom_patterns: named,
  content_rules: mergeMaps({ builtins: united, block_patterns: blocking }),
  output_rules: mergeMaps({ block_patterns: blocking }),
  network,
  resource_limits: mergeMaps(LIMITS),
  filesystem: mergeMaps({ read: granted, write: granted, deny: united, execute: granted }),
  environment: mergeMaps({ pass: granted, set: mergeMaps({}) }),
  isolation: mergeMaps({ min: tighter('isolation.min'), require: united }),
};

const DOCUMENT: MergeTable = {
  ...SECTIONS,
  inheritance: (base, override) => (base === 'narrow' ? base : override),
  allowed_tools: granted,
  denied_tools: united,
  sequence_rules: united,
  tools: mergeMaps({}, mergeMaps({ ...SECTIONS, args: mergeMaps({}) })),
  rate_limits: mergeMaps({ enabled: overrideWins }, windows),
  cost: mergeMaps({}, (base, override) => Math.max(Number(base), Number(override))),
  audit: mergeMaps({}),
};

type MergeTable = Readonly<Record<string, Merge>>;

/** Merges maps key by key; keys that the table does not name are the override's. */
function mergeMaps(table: MergeTable, other: Merge = overrideWins): Merge {
  return (base, override, mode) => {
    const merged: Record<string, Json> = Object.create(null);
    Object.assign(merged, base);
    for (const [key, value] of Object.entries(override as JsonMap)) {
      const present = merged[key];
      const merge = Object.hasOwn(table, key) ? (table[key] ?? other) : other;
      merged[key] = present === undefined ? value : merge(present, value, mode);
    }
    return merged;
  };
}

function listOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function windowList(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [value];
}

function union(base: readonly Json[], override: readonly Json[]): Json[] {
  const seen = new Map<string, Json>();
  for (const each of [...base, ...override]) {
    const key = canonicalJson(each);
    if (!seen.has(key)) seen.set(key, each);
  }
  return [...seen.values()];
}

function nameOf(entry: Json): string {
  const { name } = entry as JsonMap;
  return String(name);
}
