import {
  type ArgumentKind,
  narrowSections,
  type Policy,
  type ToolSections,
} from '../policy/index.ts';
import type { Charge, Check } from './check.ts';
import { conditionChecks } from './condition-checks.ts';
import { contentChecks } from './content-checks.ts';
import { type CustomRule, customChecks } from './custom-rules.ts';
import { inputCheck } from './input-check.ts';
import { networkChecks } from './network-checks.ts';
import { type OutputCheck, outputCheck } from './output-check.ts';
import { asksHistory, sequenceChecks, sumCharges } from './sequence-checks.ts';
import { targetCheck } from './target-check.ts';
import { toolListChecks } from './tool-list-checks.ts';
import { checkToolName, foldToolName } from './tool-name.ts';
import { type ToolRules, toolRules } from './tool-rules.ts';
import { toolTable } from './tool-table.ts';
import { usageCharges } from './usage-charges.ts';

/** A policy made ready for deciding. Compile once, decide often. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** True when rules ask what the session did before. */
  readonly asksHistory: boolean;
  /** What holds for one tool outside the decision; the same object for the same tool. */
  rulesFor(tool: string): ToolRules;
  /** What `decide` and `checkOutput` ask for one tool. */
  checksFor(tool: string): ToolChecks;
}

/** The rules of one tool in the order in which they are asked. */
export interface ToolChecks {
  readonly checks: readonly Check[];
  readonly charges: readonly Charge[];
  readonly output: OutputCheck;
}

/** Compiled tools kept; a policy is usually asked about far fewer names. */
const CACHE_MAX = 10_000;

/** Compiles a policy. Pure: the result depends on the policy and the rules alone. */
export function compilePolicy(
  policy: Policy,
  options: { readonly rules?: readonly CustomRule[] } = {},
): CompiledPolicy {
  const { document } = policy;
  const tools = toolTable(document.tools);
  const listChecks = toolListChecks(document);
  const chargesOf = usageCharges(document);
  const ownChecks = customChecks(options.rules ?? []);
  const common = compileSections(document);
  const conditions = conditionChecks(document.conditions, 'conditions');
  /** Only a tool that narrows a section pays for compiling it again. */
  const sectionsOf = (tool: string): CompiledSections => {
    const own = tools(tool);
    return own === undefined ? common : compileSections(narrowSections(document, own), common);
  };

  const compileChecks = (tool: string): ToolChecks => {
    const own = tools(tool);
    const sections = sectionsOf(tool);
    const kinds = own?.args ?? {};
    return {
      checks: [
        ...(own?.target === undefined ? [] : [targetCheck(own.target, tool)]),
        ...listChecks(tool),
        ...(own?.input_schema === undefined ? [] : [inputCheck(own.input_schema, tool)]),
        ...conditions,
        ...conditionChecks(own?.conditions, `tools.${tool}.conditions`),
        ...sequenceChecks(document.sequence_rules, tool),
        ...sections.content(kinds),
        ...sections.network(kinds),
        ...ownChecks,
      ],
      charges: [...chargesOf(tool), ...sumCharges(document.sequence_rules, tool, document.name)],
      output: sections.output,
    };
  };

  return {
    policy,
    asksHistory: asksHistory(document.sequence_rules),
    rulesFor: cachedByTool((tool) =>
      toolRules(document, sectionsOf(tool).sections, tools(tool)?.args ?? {}, !policy.isDefault),
    ),
    checksFor: cachedByTool(compileChecks),
  };
}

/** Sections with the checks they give, which depend on a tool only by the kinds of its arguments. */
interface CompiledSections {
  readonly sections: ToolSections;
  readonly content: (kinds: Kinds) => readonly Check[];
  readonly network: (kinds: Kinds) => readonly Check[];
  readonly output: OutputCheck;
}

type Kinds = Readonly<Record<string, ArgumentKind>>;

/** @param base - compiled sections that are taken over where nothing differs */
function compileSections(sections: ToolSections, base?: CompiledSections): CompiledSections {
  const isSame = (key: keyof ToolSections): boolean =>
    base !== undefined && base.sections[key] === sections[key];
  return {
    sections,
    content:
      base !== undefined && isSame('content_rules')
        ? base.content
        : contentChecks(sections.content_rules),
    network:
      base !== undefined && isSame('network') ? base.network : networkChecks(sections.network),
    output:
      base !== undefined && isSame('output_rules')
        ? base.output
        : outputCheck(sections.output_rules),
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
