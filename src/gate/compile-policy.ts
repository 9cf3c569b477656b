import { narrowSections, type Policy, type ToolSection } from '../policy/index.ts';
import type { Charge, Check } from './check.ts';
import { conditionChecks } from './condition-checks.ts';
import { contentChecks } from './content-checks.ts';
import { type CustomRule, customChecks } from './custom-rules.ts';
import { inputCheck } from './input-check.ts';
import { networkCheck } from './network-check.ts';
import { type OutputCheck, outputCheck } from './output-check.ts';
import { sequenceChecks, sumCharges } from './sequence-checks.ts';
import { targetCheck } from './target-check.ts';
import { toolListChecks } from './tool-list-checks.ts';
import { checkToolName, foldToolName } from './tool-name.ts';
import { type ToolRules, toolRules } from './tool-rules.ts';
import { toolTable } from './tool-table.ts';
import { usageCharges } from './usage-charges.ts';

/** A policy made ready for deciding. Compile once, decide often. */
export interface CompiledPolicy {
  readonly policy: Policy;
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
  const sectionsOf = (tool: string): ToolSection => {
    const own = tools(tool);
    return own === undefined ? document : narrowSections(document, own);
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
        ...conditionChecks(document.conditions, 'conditions'),
        ...conditionChecks(own?.conditions, `tools.${tool}.conditions`),
        ...sequenceChecks(document.sequence_rules, tool),
        ...contentChecks(sections.content_rules, kinds),
        ...[networkCheck(sections.network, kinds)].flatMap((check) => check ?? []),
        ...ownChecks,
      ],
      charges: [...chargesOf(tool), ...sumCharges(document.sequence_rules, tool, document.name)],
      output: outputCheck(sections.output_rules),
    };
  };

  return {
    policy,
    rulesFor: cachedByTool((tool) =>
      toolRules(document, sectionsOf(tool), tools(tool)?.args ?? {}, !policy.isDefault),
    ),
    checksFor: cachedByTool(compileChecks),
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
