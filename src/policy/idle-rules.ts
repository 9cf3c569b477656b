import { compileGlob } from './glob.ts';
import type { PolicyDocument, SequenceRule, ToolSection } from './policy-document.ts';

/** Something valid that a policy says to no effect. */
export interface IdleRule {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * Rules of a merged policy that can never decide anything, or that can only ever decide one way,
 * because another rule speaks first. Sound for names and globs: what is reported is so; a glob that
 * only overlaps others is not looked into.
 */
export function idleRules(document: PolicyDocument): IdleRule[] {
  const state = toolState(document);
  return [
    ...deniedPatterns(document),
    ...shadowed(['allowed_tools'], document.allowed_tools, globCovers),
    ...shadowed(['denied_tools'], document.denied_tools, globCovers),
    ...namedTools(['tools'], document.tools, state),
    ...namedTools(['rate_limits'], document.rate_limits, state, ['enabled', 'global']),
    ...namedTools(['cost'], document.cost, state),
    ...(document.sequence_rules ?? []).flatMap((rule, index) =>
      sequence(['sequence_rules', index], rule, state),
    ),
    ...networks(document),
    ...conditions(document),
    ...switchedOff(document),
  ];
}

/** Why no call of a tool is ever allowed; null when some may be. */
type ToolState = (name: string) => string | null;

function toolState({
  allowed_tools: allowed,
  denied_tools: denied = [],
}: PolicyDocument): ToolState {
  return (name) => {
    const by = denied.find((pattern) => globCovers(pattern, name));
    if (by !== undefined) return `it is denied by \`${by}\` in \`denied_tools\``;
    // A glob may name a tool that another glob allows: only whole names are told apart here.
    if (allowed === undefined || name.includes('*')) return null;
    return allowed.some((pattern) => globCovers(pattern, name))
      ? null
      : 'it is not in `allowed_tools`';
  };
}

/** Every name that one glob matches is matched by the other. Sound: only `*` matches a `*`. */
function globCovers(wide: string, narrow: string): boolean {
  return compileGlob(wide.toLowerCase())(narrow.toLowerCase());
}

function deniedPatterns({ allowed_tools = [], denied_tools = [] }: PolicyDocument): IdleRule[] {
  return allowed_tools.flatMap((pattern, index) => {
    const by = denied_tools.find((denied) => globCovers(denied, pattern));
    if (by === undefined) return [];
    return [idle(['allowed_tools', index], `\`${pattern}\` allows nothing: \`${by}\` is denied`)];
  });
}

function shadowed(
  at: readonly PropertyKey[],
  patterns: readonly string[] = [],
  covers: (wide: string, narrow: string) => boolean,
): IdleRule[] {
  return patterns.flatMap((pattern, index) => {
    const by = patterns.find(
      (other, place) =>
        place !== index && covers(other, pattern) && (place < index || !covers(pattern, other)),
    );
    return by === undefined
      ? []
      : [idle([...at, index], `\`${pattern}\` adds nothing: \`${by}\` covers it`)];
  });
}

function namedTools(
  at: readonly PropertyKey[],
  map: object = {},
  state: ToolState,
  others: readonly string[] = [],
): IdleRule[] {
  return Object.keys(map).flatMap((name) => {
    const why = others.includes(name) ? null : state(name);
    return why === null ? [] : [idle([...at, name], `no call of \`${name}\` gets here: ${why}`)];
  });
}

function sequence(at: readonly PropertyKey[], rule: SequenceRule, state: ToolState): IdleRule[] {
  const own = state(rule.tool);
  if (own !== null) return [idle([...at, 'tool'], `no call of \`${rule.tool}\` gets here: ${own}`)];
  if ('requires_prior' in rule) {
    const why = state(rule.requires_prior.tool);
    const message = `\`${rule.tool}\` is never allowed: \`${rule.requires_prior.tool}\` must run before, and ${why}`;
    return why === null ? [] : [idle([...at, 'requires_prior', 'tool'], message)];
  }
  if (!('forbid_after' in rule)) return [];
  const why = state(rule.forbid_after.tool);
  const message = `never forbids anything: \`${rule.forbid_after.tool}\` never runs, ${why}`;
  return why === null ? [] : [idle([...at, 'forbid_after', 'tool'], message)];
}

function networks(document: PolicyDocument): IdleRule[] {
  const tools = Object.entries(document.tools ?? {});
  return [
    ...domains(document, []),
    ...tools.flatMap(([name, tool]) => domains(tool, ['tools', name])),
  ];
}

function domains({ network }: ToolSection, at: readonly PropertyKey[]): IdleRule[] {
  if (network === undefined || typeof network === 'string') return [];
  const { allowed_domains: allowed = [], denied_domains: denied = [] } = network;
  const path = [...at, 'network', 'allowed_domains'];
  const isOpen = network.deny_all_other === false;
  return [
    ...(isOpen && allowed.length > 0
      ? [idle(path, 'decides nothing: `deny_all_other: false` allows every other domain too')]
      : []),
    ...allowed.flatMap((domain, index) => {
      const by = denied.find((each) => isBelow(each, domain));
      const message = `\`${domain}\` allows nothing: \`${by}\` is denied`;
      return by === undefined ? [] : [idle([...path, index], message)];
    }),
    ...shadowed(path, allowed, domainCovers),
    ...shadowed([...at, 'network', 'denied_domains'], denied, isBelow),
  ];
}

/** A denied domain stands for its subdomains too. */
function isBelow(denied: string, domain: string): boolean {
  const [wide, narrow] = [denied, domain].map((each) => each.toLowerCase().replace(/^\*\./, ''));
  return denied === '*' || wide === narrow || narrow?.endsWith(`.${wide}`) === true;
}

function domainCovers(wide: string, narrow: string): boolean {
  const [outer, inner] = [wide.toLowerCase(), narrow.toLowerCase()];
  return outer === inner || (outer.startsWith('*.') && inner.endsWith(outer.slice(1)));
}

/** Conditions on arguments that no schema has: the argument is missing, and the call denied. */
function conditions({ conditions: common = [], tools = {} }: PolicyDocument): IdleRule[] {
  const schemas = Object.values(tools).map(propertiesOf);
  const isKnown = (name: string): boolean =>
    schemas.some((names) => names === null || names.includes(name));
  const ofAll =
    schemas.length === 0
      ? []
      : common.flatMap((source, index) =>
          argumentNames(source)
            .filter((name) => !isKnown(name))
            .map((name) => idle(['conditions', index], `no \`input_schema\` has \`args.${name}\``)),
        );
  const ofTools = Object.entries(tools).flatMap(([tool, section]) => {
    const names = propertiesOf(section);
    if (names === null) return [];
    return (section.conditions ?? []).flatMap((source, index) =>
      argumentNames(source)
        .filter((name) => !names.includes(name))
        .map((name) =>
          idle(
            ['tools', tool, 'conditions', index],
            `\`args.${name}\` is not in the \`input_schema\` of \`${tool}\``,
          ),
        ),
    );
  });
  return [...ofAll, ...ofTools];
}

/** Names that a schema gives its arguments; null where it does not say all of them. */
function propertiesOf({ input_schema: schema }: ToolSection): readonly string[] | null {
  const properties = schema?.['properties'];
  if (typeof properties !== 'object' || properties === null) return null;
  return Object.keys(properties);
}

/** Arguments that CEL text reads without asking first whether they are there. */
function argumentNames(source: string): readonly string[] {
  const code = source.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
  const asked = new Set([...code.matchAll(/has\(args\.(\w+)/g)].map(([, name]) => name));
  const read = [...code.matchAll(/\bargs\.([A-Za-z_]\w*)/g)].map(([, name]) => name ?? '');
  return [...new Set(read)].filter((name) => !asked.has(name));
}

function switchedOff(document: PolicyDocument): IdleRule[] {
  const sections = ['content_rules', 'output_rules', 'rate_limits', 'network'] as const;
  return sections.flatMap((key) => {
    const section = document[key];
    if (typeof section !== 'object' || section.enabled !== false) return [];
    if (Object.keys(section).length < 2) return [];
    return [idle([key], 'what it says has no effect: `enabled: false`')];
  });
}

function idle(path: readonly PropertyKey[], message: string): IdleRule {
  return { path, message };
}
