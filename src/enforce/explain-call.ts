import { randomUUID } from 'node:crypto';
import type { Layer, Limits, Tier, ToolTarget } from '../call.ts';
import type { CompiledPolicy } from '../gate/index.ts';
import {
  chooseRunner,
  defaultToolName,
  type ExplanationSection,
  type HostTiers,
  type Job,
  resolveTarget,
} from '../isolation/index.ts';
import type { Surroundings } from './identify.ts';
import { type CallLimits, tighten } from './tighten.ts';

/** Which call is explained. */
export interface ExplainOptions extends CallLimits {
  readonly tool?: string;
}

/** What a call would run under. */
export interface Explanation {
  readonly tool: string;
  readonly tier: Tier | 'none';
  /** What the tier has around every call. */
  readonly layers: readonly Layer[];
  /** Defaults of the policy that it cannot enforce. */
  readonly unenforced: readonly string[];
  /** Why nothing would run, in one line. */
  readonly refusal: string | null;
  readonly limits: Limits;
  readonly sections: readonly ExplanationSection[];
}

interface Basis {
  readonly compiled: CompiledPolicy;
  readonly surroundings: Surroundings;
  readonly tiers: HostTiers;
}

/**
 * Follows a call up to the point where it would start.
 *
 * @throws {EnforceError} `ENF_CALL_TARGET`, `ENF_CALL_ARGUMENT`, `ENF_CALL_LOOSER`
 */
export async function explainCall(
  { compiled, surroundings, tiers }: Basis,
  target: ToolTarget,
  { tool = defaultToolName(target), ...limits }: ExplainOptions,
): Promise<Explanation> {
  const confinement = tighten(compiled.rulesFor(tool).confinement, limits);
  const resolved = await resolveTarget(target, surroundings);
  const choice = chooseRunner(tiers.runners, resolved, confinement, tiers.shortfalls);
  const basis = { tool, limits: confinement.limits };
  if (!('runner' in choice)) {
    const nothing = { tier: 'none', layers: [], unenforced: [], sections: [] } as const;
    return { ...basis, ...nothing, refusal: `${choice.message}; ${choice.remedy}` };
  }
  const { runner, unenforced } = choice;
  const job: Job = {
    callId: randomUUID(),
    tool,
    target: resolved,
    argsJson: '{}',
    confinement,
    remainingMs: confinement.limits.wallMs,
    stop: new AbortController().signal,
  };
  const sections = runner.explain?.(job) ?? [];
  const { tier, layers } = runner;
  return { ...basis, tier, layers, unenforced, refusal: null, sections };
}
