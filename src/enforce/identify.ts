import { randomUUID } from 'node:crypto';
import type { CallContext, Json, Limits, Reason, TargetIdentity, ToolTarget } from '../call.ts';
import { type ErrorCode, isEnforceError } from '../errors.ts';
import {
  type DigestCache,
  encodeIJson,
  IJsonError,
  type ResolvedTarget,
  resolveTarget,
} from '../isolation/index.ts';
import type { ScopeBudget } from './scope-budget.ts';

/** A function of this process as a target. */
export type FunctionTarget = Extract<ResolvedTarget, { kind: 'function' }>;

/** What a call asks for, before anything of it was looked at. */
export interface Request {
  readonly target: ToolTarget | FunctionTarget;
  readonly args: unknown;
  readonly tool: string;
  readonly context: CallContext;
  /** Enforced calls this one is made from; 0 for a call of the program itself. */
  readonly depth: number;
  /** Of the scopes it is made in. */
  readonly budgets: readonly ScopeBudget[];
}

/** Enforced calls inside enforced calls; deeper is a tool that calls itself. */
const DEPTH_MAX = 16;

/** A call whose target was found and whose arguments were read once and frozen. */
export interface IdentifiedCall {
  readonly callId: string;
  readonly tool: string;
  readonly context: CallContext;
  readonly target: ResolvedTarget | null;
  /** I-JSON text, and what it says; null when the arguments were refused. */
  readonly argsJson: string | null;
  readonly args: Json;
  /** What already speaks against the call. */
  readonly refusals: readonly Reason[];
}

/** Where targets are looked up. */
export interface Surroundings {
  readonly cwd: string;
  readonly searchPath: string;
  readonly digests: DigestCache;
}

/**
 * Resolves and hashes the target and serialises the arguments once: what is judged from here on
 * cannot change its face. Problems become refusals, so that they are audited like every denial.
 */
export async function identify(
  request: Request,
  limits: Limits,
  surroundings: Surroundings,
): Promise<IdentifiedCall> {
  const { tool, context } = request;
  const frozen = freezeArguments(request.args, limits);
  const found = await findTarget(request.target, surroundings);
  return {
    callId: randomUUID(),
    tool,
    context,
    target: 'refusal' in found ? null : found,
    argsJson: 'refusal' in frozen ? null : frozen.json,
    args: 'refusal' in frozen ? null : (JSON.parse(frozen.json) as Json),
    refusals: [
      ...checkDepth(request.depth),
      ...[frozen, found].flatMap((part) => ('refusal' in part ? part.refusal : [])),
    ],
  };
}

/** The identity that goes into decision, audit and outcome. */
export function identityOf({ target }: IdentifiedCall): TargetIdentity | null {
  return target?.identity ?? null;
}

function checkDepth(depth: number): readonly Reason[] {
  if (depth <= DEPTH_MAX) return [];
  const message = `enforced calls may nest at most ${DEPTH_MAX} deep`;
  return [{ rule: 'nesting', code: 'ENF_CALL_NESTED', message }];
}

const ARGUMENT_CODES: Readonly<Record<IJsonError['reason'], ErrorCode>> = {
  value: 'ENF_CALL_ARGS',
  syntax: 'ENF_CALL_ARGS',
  depth: 'ENF_CALL_ARGS_DEPTH',
  size: 'ENF_CALL_ARGS_SIZE',
};

/** Serialises arguments once, within the limits of the call; or says why they are refused. */
export function freezeArguments(
  args: unknown,
  { inputBytes, argumentDepthMax }: Limits,
): { readonly json: string } | { readonly refusal: Reason } {
  try {
    const bounds = { depthMax: argumentDepthMax, bytesMax: inputBytes };
    return { json: encodeIJson(args, 'args', bounds) };
  } catch (cause) {
    if (!(cause instanceof IJsonError)) throw cause;
    const code = ARGUMENT_CODES[cause.reason];
    return { refusal: { rule: 'args', code, message: cause.message } };
  }
}

async function findTarget(
  target: ToolTarget | FunctionTarget,
  surroundings: Surroundings,
): Promise<ResolvedTarget | { readonly refusal: Reason }> {
  if (typeof target === 'object' && target !== null && 'kind' in target) return target;
  try {
    return await resolveTarget(target, surroundings);
  } catch (cause) {
    if (!isEnforceError(cause) || cause.code !== 'ENF_CALL_TARGET') throw cause;
    return { refusal: { rule: 'target', code: cause.code, message: cause.message } };
  }
}
