import type { Confinement } from '../call.ts';
import { DEFAULTS, type Policy, type PolicyDocument } from '../policy/index.ts';
import type { Charge, Check } from './check.ts';
import { confinementOf } from './confinement.ts';
import { slotCharge } from './slot-charge.ts';
import { toolListChecks } from './tool-list-checks.ts';
import { checkToolName, foldToolName } from './tool-name.ts';

/** A policy made ready for deciding. Compile once, decide often. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** What holds for one tool outside the decision; the same object for the same tool. */
  rulesFor(tool: string): ToolRules;
  /** What {@link decide} asks for one tool. */
  checksFor(tool: string): ToolChecks;
}

/** The part of a policy that other parts of a call's path act on. */
export interface ToolRules {
  readonly confinement: Confinement;
  readonly redaction: RedactionRulesShape;
  readonly argumentKinds: Readonly<Record<string, ArgumentKind>>;
  readonly redactOutput: boolean;
  readonly audit: { readonly required: boolean; readonly record: 'digests' | 'redacted' };
  readonly onViolation: 'block' | 'log';
}

/** What kind of string an argument is; it decides which content rules look at it and how. */
export type ArgumentKind = 'command' | 'path' | 'sql' | 'url' | 'data';

/** The redaction sections with every default filled in. */
export interface RedactionRulesShape {
  readonly pii_redaction: {
    readonly enabled: boolean;
    readonly categories: readonly string[];
    readonly strategy: 'placeholder' | 'mask' | 'hash' | 'remove';
    readonly direction: 'both' | 'input' | 'output';
  };
  readonly secret_detection: {
    readonly enabled: boolean;
    readonly categories: 'all' | readonly string[];
  };
}

/** The rules of one tool in the order in which they are asked. */
export interface ToolChecks {
  readonly checks: readonly Check[];
  readonly charges: readonly Charge[];
}

/** Compiled tools kept; a policy is usually asked about far fewer names. */
const CACHE_MAX = 10_000;

/** Compiles a policy. Pure: the result depends on the policy alone. */
export function compilePolicy(policy: Policy): CompiledPolicy {
  const { document } = policy;
  const listChecks = toolListChecks(document);
  const charges = [slotCharge(document)].flatMap((charge) => charge ?? []);
  const rulesFor = cachedByTool((): ToolRules => toolRules(document, !policy.isDefault));
  const checksFor = cachedByTool((tool): ToolChecks => ({ checks: listChecks(tool), charges }));
  return { policy, rulesFor, checksFor };
}

function toolRules(document: PolicyDocument, explicit: boolean): ToolRules {
  return {
    confinement: confinementOf(document, explicit),
    redaction: {
      pii_redaction: { ...DEFAULTS.pii_redaction, ...document.pii_redaction },
      secret_detection: { ...DEFAULTS.secret_detection, ...document.secret_detection },
    },
    argumentKinds: {},
    redactOutput: true,
    audit: { ...DEFAULTS.audit, ...document.audit },
    onViolation: document.on_violation ?? DEFAULTS.on_violation,
  };
}

/** UNTRUSTED: names come from agents; the cache is emptied when it is full. */
function cachedByTool<T>(compile: (tool: string) => T): (tool: string) => T {
  const cache = new Map<string, T>();
  return (tool) => {
    const name = checkToolName(tool) === null ? foldToolName(tool) : tool.slice(0, 256);
    const known = cache.get(name);
    if (known !== undefined) return known;
    if (cache.size >= CACHE_MAX) cache.clear();
    const compiled = compile(name);
    cache.set(name, compiled);
    return compiled;
  };
}
