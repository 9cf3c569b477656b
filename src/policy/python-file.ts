import { formatPath, type Place, type ProblemCode } from './problem.ts';
import { childOf, type SourceEntry, type SourceMap, type SourceNode } from './source-tree.ts';

/**
 * Policies of the Python EnforceCore (up to 1.14) in today's words. Keys that have an equivalent
 * are renamed or moved; keys without one are a note when they are switched off and a problem when
 * they are switched on: nothing that protected a caller there is dropped in silence here.
 */
export interface Translation {
  readonly root: SourceNode;
  readonly notes: readonly string[];
  readonly problems: readonly TranslationProblem[];
}

export interface TranslationProblem extends Place {
  readonly path: string;
  readonly code: ProblemCode;
  readonly message: string;
}

const ALIASES: Readonly<Record<string, string>> = {
  pii: 'pii_redaction',
  pii_config: 'pii_redaction',
  resources: 'resource_limits',
  network_policy: 'network',
};

/** Sections that were off there unless they said `enabled: true`, and are on here when present. */
const OFF_BY_DEFAULT = ['pii_redaction', 'network', 'content_rules', 'rate_limits'];

/** Translates a document; returns it unchanged when nothing in it is of the other kind. */
export function translatePythonFile(root: SourceNode): Translation {
  if (root.kind !== 'map' || !isPythonStyle(root)) return { root, notes: [], problems: [] };
  const translator = new Translator();
  const translated = translator.document(root);
  return { root: translated, notes: translator.notes, problems: translator.problems };
}

/** `rules:` holds the rules there; the other keys exist only there. */
function isPythonStyle(root: SourceMap): boolean {
  const rates = childOf(root, 'rate_limits');
  const own = [
    'rules',
    'sandbox',
    'sensitivity_labels',
    'max_output_size_bytes',
    ...Object.keys(ALIASES),
  ];
  return (
    own.some((key) => childOf(root, key) !== undefined) ||
    ['per_tool', 'global_limit'].some((key) => childOf(rates, key) !== undefined) ||
    scalarOf(childOf(root, 'on_violation')) === 'redact'
  );
}

class Translator {
  readonly notes: string[] = [];
  readonly problems: TranslationProblem[] = [];

  document(root: SourceMap): SourceMap {
    const hoisted = root.entries.flatMap((entry) =>
      entry.key === 'rules' && entry.node.kind === 'map' ? entry.node.entries : [entry],
    );
    const renamed = this.#withoutRepeats(hoisted.map(rename)).filter(({ node }) => !isNull(node));
    const moved: SourceEntry[] = [];
    const kept = renamed.flatMap((entry) => {
      const [stays, goes] = this.#section(entry);
      moved.push(...goes);
      return stays;
    });
    return { ...root, entries: mergeMoved(kept, moved) };
  }

  /** An alias beside the key it stands for: which of the two was meant cannot be known. */
  #withoutRepeats(entries: readonly SourceEntry[]): SourceEntry[] {
    const seen = new Set<string>();
    return entries.filter((entry) => {
      if (!seen.has(entry.key)) return seen.add(entry.key);
      this.#problem(
        entry,
        [entry.key],
        'conflict',
        `\`${entry.key}\` is written twice, under two names or in and beside \`rules\``,
      );
      return false;
    });
  }

  /** @returns what an entry becomes, and what moves into other sections */
  #section(entry: SourceEntry): [SourceEntry[], SourceEntry[]] {
    if (OFF_BY_DEFAULT.includes(entry.key) && childOf(entry.node, 'enabled') === undefined) {
      this.notes.push(
        `\`${entry.key}\` is on because it is present; the Python version needed \`enabled: true\``,
      );
    }
    switch (entry.key) {
      case 'pii_redaction':
        return [[this.#pii(entry)], []];
      case 'resource_limits':
        return [[this.#limits(entry)], []];
      case 'content_rules':
        return [[this.#contentRules(entry)], []];
      case 'rate_limits':
        return [[rates(entry)], []];
      case 'sandbox':
        return [[], this.#sandbox(entry)];
      case 'sensitivity_labels':
        this.#withoutEquivalent(entry, isOn(entry.node));
        return [[], []];
      case 'max_output_size_bytes':
        return [[], [{ ...entry, key: 'resource_limits', node: mapOf([entry], entry) }]];
      case 'on_violation':
        return [[scalarOf(entry.node) === 'redact' ? withValue(entry, 'block') : entry], []];
      default:
        return [[entry], []];
    }
  }

  #pii(entry: SourceEntry): SourceEntry {
    const on = scalarOf(childOf(entry.node, 'enabled')) !== false;
    return rewrite(entry, (child) => {
      const value = scalarOf(child.node);
      if (child.key === 'ner_threshold' || child.key === 'ner_fallback_to_regex') return [];
      if (child.key === 'strategy' && value === 'regex') return [withValue(child, 'placeholder')];
      if (child.key === 'strategy' && value === 'ner') {
        this.#withoutEquivalent(child, on, ['pii_redaction', 'strategy']);
        return [];
      }
      // An empty list meant all categories there.
      if (child.key === 'categories' && isEmptyList(child.node)) return [];
      if (child.key === 'categories') return [this.#categories(child, on)];
      return [child];
    });
  }

  #categories(entry: SourceEntry, on: boolean): SourceEntry {
    const { node } = entry;
    if (node.kind !== 'list') return entry;
    const items = node.items.filter((item) => {
      const name = scalarOf(item);
      if (name !== 'passport' && name !== 'person_name') return true;
      const found = { ...entry, key: name, keyPlace: item.place };
      this.#withoutEquivalent(found, on, ['pii_redaction', 'categories', name]);
      return false;
    });
    return { ...entry, node: { ...node, items } };
  }

  #limits(entry: SourceEntry): SourceEntry {
    return rewrite(entry, (child) => {
      if (scalarOf(child.node) !== 0 || child.key === 'max_cost_usd') return [child];
      this.notes.push(
        `\`resource_limits.${child.key}: 0\` meant no limit there; here the default limit holds`,
      );
      return [];
    });
  }

  #contentRules(entry: SourceEntry): SourceEntry {
    return rewrite(entry, (child) => {
      if (child.key !== 'block_patterns' || child.node.kind !== 'list') return [child];
      const items = child.node.items.map((item) =>
        item.kind === 'map' ? { ...item, entries: item.entries.filter(isNoRemark) } : item,
      );
      return [{ ...child, node: { ...child.node, items } }];
    });
  }

  /** Tools are always in a process of their own here; what the section limited is kept. */
  #sandbox(entry: SourceEntry): SourceEntry[] {
    if (!isOn(entry.node)) {
      this.#withoutEquivalent(entry, false);
      return [];
    }
    const children = entry.node.kind === 'map' ? entry.node.entries : [];
    return children.flatMap((child): SourceEntry[] => {
      switch (child.key) {
        case 'enabled':
          return [];
        case 'strategy':
          if (scalarOf(child.node) === 'subprocess') return [];
          break;
        case 'max_memory_mb':
          return [into('resource_limits', child)];
        case 'max_cpu_seconds':
          // It was compared with wall-clock time.
          return [into('resource_limits', { ...child, key: 'max_call_duration_seconds' })];
        case 'allowed_env_vars':
          return [into('environment', { ...child, key: 'pass' })];
        default:
      }
      if (!isNull(child.node)) this.#withoutEquivalent(child, true, ['sandbox', child.key]);
      return [];
    });
  }

  #withoutEquivalent(entry: SourceEntry, on: boolean, path: readonly string[] = [entry.key]): void {
    const name = formatPath(path);
    if (!on) this.notes.push(`\`${name}\` of the Python version is switched off and was left out`);
    else
      this.#problem(
        entry,
        path,
        'no-equivalent',
        `\`${name}\` of the Python version has no equivalent here; switch it off or remove it`,
      );
  }

  #problem(entry: SourceEntry, path: readonly string[], code: ProblemCode, message: string): void {
    this.problems.push({ ...entry.keyPlace, path: formatPath(path), code, message });
  }
}

function rename(entry: SourceEntry): SourceEntry {
  return {
    ...entry,
    key: Object.hasOwn(ALIASES, entry.key) ? (ALIASES[entry.key] ?? entry.key) : entry.key,
  };
}

/** `per_tool` and `global_limit` as `rate_limits` is written here, with their defaults there. */
function rates(entry: SourceEntry): SourceEntry {
  return rewrite(entry, (child) => {
    if (child.key === 'global_limit') return [withRateDefaults({ ...child, key: 'global' }, 1000)];
    if (child.key === 'per_tool' && child.node.kind === 'map') {
      return child.node.entries.map((tool) => withRateDefaults(tool, 100));
    }
    return [child];
  });
}

function withRateDefaults(entry: SourceEntry, maxCalls: number): SourceEntry {
  const { node } = entry;
  if (node.kind !== 'map') return entry;
  const defaults = { max_calls: maxCalls, window_seconds: 60 };
  const missing = Object.entries(defaults)
    .filter(([key]) => childOf(node, key) === undefined)
    .map(([key, value]) => withValue({ ...entry, key }, value));
  return { ...entry, node: { ...node, entries: [...node.entries, ...missing] } };
}

function rewrite(
  entry: SourceEntry,
  change: (child: SourceEntry) => readonly SourceEntry[],
): SourceEntry {
  const { node } = entry;
  if (node.kind !== 'map') return entry;
  const entries = node.entries.filter((child) => !isNull(child.node)).flatMap(change);
  return { ...entry, node: { ...node, entries } };
}

/** Puts moved entries into their sections; where both wrote a limit, the smaller one holds. */
function mergeMoved(
  kept: readonly SourceEntry[],
  moved: readonly SourceEntry[],
): readonly SourceEntry[] {
  const sections = new Map(kept.map((entry) => [entry.key, entry]));
  for (const section of moved) {
    const present = sections.get(section.key);
    sections.set(section.key, present === undefined ? section : joined(present, section));
  }
  return [...sections.values()];
}

function joined(entry: SourceEntry, moved: SourceEntry): SourceEntry {
  if (entry.node.kind !== 'map' || moved.node.kind !== 'map') return entry;
  const both = [...entry.node.entries, ...moved.node.entries];
  const entries = both.filter((child) => !both.some((other) => isSmallerTwin(other, child, both)));
  return { ...entry, node: { ...entry.node, entries } };
}

function isSmallerTwin(
  other: SourceEntry,
  child: SourceEntry,
  all: readonly SourceEntry[],
): boolean {
  if (other === child || other.key !== child.key) return false;
  const [a, b] = [scalarOf(other.node), scalarOf(child.node)];
  if (typeof a !== 'number' || typeof b !== 'number' || a === b) {
    return all.indexOf(other) < all.indexOf(child);
  }
  return a < b;
}

function into(section: string, child: SourceEntry): SourceEntry {
  return { key: section, keyPlace: child.keyPlace, node: mapOf([child], child) };
}

function mapOf(entries: readonly SourceEntry[], { keyPlace }: SourceEntry): SourceMap {
  return { kind: 'map', place: keyPlace, entries };
}

function withValue(entry: SourceEntry, value: string | number): SourceEntry {
  return { ...entry, node: { kind: 'scalar', place: entry.node.place, value } };
}

function scalarOf(node: SourceNode | undefined): unknown {
  return node?.kind === 'scalar' ? node.value : undefined;
}

function isNull(node: SourceNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function isEmptyList(node: SourceNode): boolean {
  return node.kind === 'list' && node.items.length === 0;
}

function isOn(node: SourceNode): boolean {
  return scalarOf(childOf(node, 'enabled')) === true;
}

/** Remarks for readers; the Python version never used them either. */
function isNoRemark({ key }: SourceEntry): boolean {
  return key !== 'description' && key !== 'reason';
}
