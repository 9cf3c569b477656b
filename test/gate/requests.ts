import type { CallContext, Json } from '../../src/call.ts';
import {
  type CompiledPolicy,
  compilePolicy,
  type DecisionRequest,
  decide,
  type GateDecision,
} from '../../src/gate/index.ts';
import { loadPolicy } from '../../src/policy/index.ts';
import { EMPTY_HISTORY } from '../../src/usage/index.ts';

/** A request with everything ordinary but what a test is about. */
export function requestFor(
  tool: string,
  args: Json = {},
  rest: Partial<DecisionRequest> & { readonly context?: CallContext } = {},
): DecisionRequest {
  const { context = {}, ...request } = rest;
  return {
    call: { tool, args, context },
    redactedArgs: args,
    target: null,
    killSwitch: null,
    history: EMPTY_HISTORY,
    now: 0,
    ...request,
  };
}

/** Compiles a policy given without its name. */
export async function compiled(document: object): Promise<CompiledPolicy> {
  return compilePolicy(await loadPolicy({ name: 'test', ...document }));
}

/** Decides one call under a policy given without its name. */
export async function decideUnder(
  document: object,
  tool: string,
  args: Json = {},
  rest: Parameters<typeof requestFor>[2] = {},
): Promise<GateDecision> {
  return decide(await compiled(document), requestFor(tool, args, rest));
}

/** The rules that spoke, in order. */
export function rulesOf(decision: GateDecision): string[] {
  return decision.reasons.map(({ rule }) => rule);
}
