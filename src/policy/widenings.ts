import { resolve, sep } from 'node:path';
import type { Json } from '../call.ts';
import { canonicalJson } from './canonical-json.ts';
import { BUILTIN_RULE_NAMES, PII_CATEGORY_NAMES } from './category-names.ts';
import { compileGlob } from './glob.ts';
import type {
  DomainRules,
  NetworkSection,
  PolicyDocument,
  ToolSections,
} from './policy-document.ts';
import { isTighter, TIGHTENING_LIMITS } from './tightness.ts';

/** Something that a policy would allow and the policy it is held to does not. */
export interface Widening {
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * What a document would loosen in a base. Only keys that the base really wrote bind; a child may
 * say anything about the rest.
 */
export function wideningsOf(base: PolicyDocument, child: PolicyDocument): Widening[] {
  return [
    ...sectionWidenings(base, child),
    ...granting(['allowed_tools'], base.allowed_tools, child.allowed_tools, globCovers),
    ...costs(base, child),
    ...switchedOff(['rate_limits', 'enabled'], base.rate_limits, child.rate_limits),
    ...changed(['audit', 'required'], base.audit?.required === true, child.audit?.required, true),
    ...changed(
      ['audit', 'record'],
      base.audit?.record === 'redacted',
      child.audit?.record,
      'redacted',
    ),
    ...changed(['on_violation'], base.on_violation === 'block', child.on_violation, 'block'),
    ...toolWidenings(base, child),
  ];
}

/** What sections of a tool, or of a child, would loosen in the sections they narrow. */
export function sectionWidenings(base: ToolSections, child: ToolSections): Widening[] {
  return [
    ...limitWidenings(base, child),
    ...redaction(base, child),
    ...rules(base, child),
    ...networkWidenings(base.network, child.network),
    ...paths(base, child),
    ...environmentWidenings(base, child),
    ...isolationWidenings(base, child),
  ];
}

/** Limits of a child that are looser than the base's. */
export function limitWidenings(base: ToolSections, child: ToolSections): Widening[] {
  return TIGHTENING_LIMITS.flatMap((key) => {
    const [bound, wanted] = [base, child].map(
      (each) => (each.resource_limits as Record<string, Json> | undefined)?.[key],
    );
    if (bound === undefined || wanted === undefined || isTighter(key, wanted, bound)) return [];
    return [widening(['resource_limits', key], `${String(wanted)} is more than ${String(bound)}`)];
  });
}

function redaction(base: ToolSections, child: ToolSections): Widening[] {
  const [pii, childPii] = [base.pii_redaction, child.pii_redaction];
  const [secrets, childSecrets] = [base.secret_detection, child.secret_detection];
  const isOn = pii !== undefined && pii.enabled !== false;
  const all = PII_CATEGORY_NAMES;
  return [
    ...switchedOff(['pii_redaction', 'enabled'], pii, childPii),
    ...switchedOff(['secret_detection', 'enabled'], secrets, childSecrets),
    ...shrunk(['pii_redaction', 'categories'], isOn ? (pii.categories ?? all) : [], all, {
      base: pii?.categories,
      child: childPii?.categories,
    }),
    ...(secrets !== undefined && secrets.enabled !== false && secrets.categories === undefined
      ? changed(['secret_detection', 'categories'], true, childSecrets?.categories, 'all')
      : []),
    ...changed(
      ['pii_redaction', 'direction'],
      isOn && (pii.direction ?? 'both') === 'both',
      childPii?.direction,
      'both',
    ),
    ...(isOn ? granting(['pii_redaction', 'exempt'], pii.exempt ?? [], childPii?.exempt) : []),
    ...changed(['redact_output'], base.redact_output === true, child.redact_output, true),
    ...replaced(['custom_patterns'], base.custom_patterns, child.custom_patterns),
  ];
}

function rules(base: ToolSections, child: ToolSections): Widening[] {
  const [content, output] = [base.content_rules, base.output_rules];
  const isOn = content !== undefined && content.enabled !== false;
  return [
    ...switchedOff(['content_rules', 'enabled'], content, child.content_rules),
    ...switchedOff(['output_rules', 'enabled'], output, child.output_rules),
    ...shrunk(
      ['content_rules', 'builtins'],
      isOn ? (content.builtins ?? BUILTIN_RULE_NAMES) : [],
      BUILTIN_RULE_NAMES,
      { base: content?.builtins, child: child.content_rules?.builtins },
    ),
    ...changed(
      ['output_rules', 'block_secrets'],
      output !== undefined && output.enabled !== false && output.block_secrets !== false,
      child.output_rules?.block_secrets,
      true,
    ),
  ];
}

function networkWidenings(
  base: NetworkSection | undefined,
  child: NetworkSection | undefined,
): Widening[] {
  if (base === undefined || base === 'unrestricted' || child === undefined) return [];
  const [bound, wanted] = [domainRulesOf(base), domainRulesOf(child)];
  const [allowed, wantedDomains] = [reachable(bound), reachable(wanted)];
  const explicit =
    typeof child === 'string'
      ? child !== 'none'
      : child.allowed_domains !== undefined || child.deny_all_other === false;
  const off = switchedOff(['network', 'enabled'], bound, typeof child === 'string' ? {} : child);
  if (!explicit) return off;
  const wider = wantedDomains.filter(
    (domain) => !allowed.some((each) => domainCovers(each, domain)),
  );
  const lost = typeof child === 'string' ? (bound.denied_domains ?? []) : [];
  return [
    ...off,
    ...wider.map((domain) =>
      widening(['network', 'allowed_domains'], `\`${domain}\` is not allowed there`),
    ),
    ...lost.map((domain) => widening(['network'], `\`${domain}\` is denied there`)),
  ];
}

function domainRulesOf(network: NetworkSection): DomainRules {
  if (network === 'none') return {};
  return network === 'unrestricted' ? { deny_all_other: false } : network;
}

/** The domains that rules let through, exceptions apart. */
function reachable(rules: DomainRules): readonly string[] {
  if (rules.enabled === false) return [];
  return rules.deny_all_other === false ? ['*'] : (rules.allowed_domains ?? []);
}

function domainCovers(pattern: string, domain: string): boolean {
  const [wide, narrow] = [pattern.toLowerCase(), domain.toLowerCase()];
  if (wide === '*' || wide === narrow) return true;
  return wide.startsWith('*.') && narrow.replace(/^\*\./, '').endsWith(wide.slice(1));
}

function paths(base: ToolSections, child: ToolSections): Widening[] {
  const grants = ['read', 'write', 'execute'] as const;
  return grants.flatMap((key) =>
    granting(
      ['filesystem', key],
      base.filesystem === undefined ? undefined : (base.filesystem[key] ?? []),
      child.filesystem?.[key],
      isWithin,
    ),
  );
}

/** True when a path is a folder or lies in it. Both are absolute. */
export function isWithin(folder: string, path: string): boolean {
  const [outer, inner] = [resolve(folder), resolve(path)];
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
}

function environmentWidenings(base: ToolSections, child: ToolSections): Widening[] {
  if (base.environment === undefined) return [];
  const known: Readonly<Record<string, string>> = base.environment.set ?? {};
  const passed = base.environment.pass ?? [];
  const foreign = Object.entries(child.environment?.set ?? {}).filter(
    ([name, value]) => ownValue(known, name) !== value,
  );
  return [
    ...granting(['environment', 'pass'], passed, child.environment?.pass),
    ...foreign.map(([name]) => widening(['environment', 'set', name], 'is not set to that there')),
  ];
}

function isolationWidenings(base: ToolSections, child: ToolSections): Widening[] {
  const [bound, wanted] = [base.isolation ?? {}, child.isolation ?? {}];
  const looserMin =
    bound.min !== undefined &&
    wanted.min !== undefined &&
    !isTighter('isolation.min', wanted.min, bound.min);
  const looserReuse =
    bound.reuse !== undefined && wanted.reuse !== undefined && wanted.reuse > bound.reuse;
  return [
    ...(looserMin
      ? [widening(['isolation', 'min'], `${wanted.min} is weaker than ${bound.min}`)]
      : []),
    ...(looserReuse
      ? [widening(['isolation', 'reuse'], `${wanted.reuse} is more than ${bound.reuse}`)]
      : []),
    ...weaker(['isolation', 'level'], LEVELS, bound.level, wanted.level),
    ...weaker(['isolation', 'profile'], ['off', 'compat', 'strict'], bound.profile, wanted.profile),
    ...weaker(['isolation', 'exec'], ['any', 'none'], bound.exec, wanted.exec),
  ];
}

/** `auto` takes the highest that works, which no fixed tier promises to equal. */
const LEVELS = ['thread', 'process', 'hardened', 'isolated', 'auto'];

function weaker(
  path: readonly string[],
  order: readonly string[],
  bound: string | undefined,
  wanted: string | undefined,
): Widening[] {
  if (bound === undefined || wanted === undefined) return [];
  if (order.indexOf(wanted) >= order.indexOf(bound)) return [];
  return [widening(path, `\`${wanted}\` is weaker than \`${bound}\``)];
}

function costs(base: PolicyDocument, child: PolicyDocument): Widening[] {
  return Object.entries(child.cost ?? {}).flatMap(([tool, cost]) => {
    const bound = ownValue(base.cost, tool);
    if (bound === undefined || cost >= bound) return [];
    return [widening(['cost', tool], `${cost} is less than ${bound}`)];
  });
}

function toolWidenings(base: PolicyDocument, child: PolicyDocument): Widening[] {
  return Object.entries(child.tools ?? {}).flatMap(([name, tool]) => {
    const bound = ownValue(base.tools, name) ?? {};
    const found = [
      ...sectionWidenings(bound, tool),
      ...fixed(['target'], bound.target, tool.target),
      ...fixed(['input_schema'], bound.input_schema, tool.input_schema),
      ...Object.entries(tool.args ?? {}).flatMap(([argument, kind]) =>
        fixed(['args', argument], ownValue(bound.args, argument), kind),
      ),
    ];
    return found.map(({ path, message }) => widening(['tools', name, ...path], message));
  });
}

/** Names come from files: `constructor` is a tool like any other. */
function ownValue<T>(map: Readonly<Record<string, T>> = {}, name: string): T | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

/** A list that grants: every entry must be covered by one of the base's. */
function granting(
  path: readonly string[],
  bound: readonly string[] | undefined,
  wanted: readonly string[] | undefined,
  covers: (wide: string, narrow: string) => boolean = (wide, narrow) => wide === narrow,
): Widening[] {
  if (bound === undefined || wanted === undefined) return [];
  return wanted
    .filter((entry) => !bound.some((each) => covers(each, entry)))
    .map((entry) => widening(path, `\`${entry}\` is not granted there`));
}

/** Every name that a glob can match is matched by another. Sound: only `*` matches a `*`. */
function globCovers(wide: string, narrow: string): boolean {
  return compileGlob(wide.toLowerCase())(narrow.toLowerCase());
}

/** A set that only counts whole when it is not written: writing it must not make it smaller. */
function shrunk(
  path: readonly string[],
  bound: readonly string[],
  all: readonly string[],
  written: {
    readonly base: readonly string[] | undefined;
    readonly child: readonly string[] | undefined;
  },
): Widening[] {
  // Written in both, the lists are united, and nothing is lost.
  if (written.base !== undefined || written.child === undefined) return [];
  const lost = bound.filter((name) => all.includes(name) && !written.child?.includes(name));
  return lost.map((name) => widening(path, `\`${name}\` is left out`));
}

function switchedOff(
  path: readonly string[],
  bound: { readonly enabled?: boolean } | undefined,
  wanted: { readonly enabled?: boolean } | undefined,
): Widening[] {
  const isOn = bound !== undefined && bound.enabled !== false;
  return changed(path, isOn, wanted?.enabled, true);
}

function changed(
  path: readonly string[],
  isBound: boolean,
  wanted: Json | undefined,
  required: Json,
): Widening[] {
  if (!isBound || wanted === undefined || canonicalJson(wanted) === canonicalJson(required))
    return [];
  return [widening(path, `must stay \`${String(required)}\``)];
}

function fixed(path: readonly string[], bound: unknown, wanted: unknown): Widening[] {
  if (bound === undefined || wanted === undefined) return [];
  return canonicalJson(bound) === canonicalJson(wanted)
    ? []
    : [widening(path, 'is fixed there and differs')];
}

/** Entries with a name of the base's must be the base's. */
function replaced(
  path: readonly string[],
  bound: readonly { readonly name: string }[] | undefined,
  wanted: readonly { readonly name: string }[] | undefined,
): Widening[] {
  return (wanted ?? []).flatMap((entry) => {
    const known = bound?.find(({ name }) => name === entry.name);
    return fixed([...path, entry.name], known, entry);
  });
}

function widening(path: readonly string[], message: string): Widening {
  return { path, message };
}
