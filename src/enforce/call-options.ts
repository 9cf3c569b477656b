import { z } from 'zod';
import type { CallContext } from '../call.ts';
import { EnforceError } from '../errors.ts';
import { TRUSTED_KEYS, type Trust } from '../isolation/index.ts';
import type { CallLimits } from './tighten.ts';

/** What a caller may say about one call. Limits only tighten the policy. */
export interface RunOptions extends CallLimits {
  /** Name for the policy. Default: the file's stem, the command's basename. */
  readonly tool?: string;
  readonly context?: CallContext;
  /** Ends the call: the tool is told, then killed. */
  readonly signal?: AbortSignal;
  /** Log lines of the tool, redacted. When it throws or rejects, the call is aborted. */
  readonly onLog?: (message: string) => void;
  /** When it throws or rejects, the call is aborted. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a caller may say about a function of this process. */
export interface WrapOptions {
  /**
   * Names of the positional arguments, identifiers and all different; without them policies see
   * `args[0]`, `args[1]` …
   */
  readonly params?: readonly string[];
  /** Limits that need isolation and that the caller waives for this function. */
  readonly trusted?: readonly Trust[];
  readonly context?: CallContext;
}

/** Room for any name of an agent, session or tenant, and not for a document. */
const CONTEXT_CHARS_MAX = 1024;
const PARAMS_MAX = 1000;
/** As `resource_limits.max_cost_usd` at most. */
const COST_USD_MAX = 1_000_000;

const contextName = z.string().max(CONTEXT_CHARS_MAX).optional();
const callContext = z.strictObject({
  agent: contextName,
  session: contextName,
  tenant: contextName,
  costUsd: z.number().min(0).max(COST_USD_MAX).optional(),
});

const callback = z.custom((value) => typeof value === 'function', 'must be a function');

/** The limits among the options are checked where they are applied, unknown options with them. */
const runOptions = z.object({
  tool: z.string().optional(),
  context: callContext.optional(),
  signal: z.instanceof(AbortSignal).optional(),
  onLog: callback.optional(),
  onProgress: callback.optional(),
});

const dryRunCall = z.strictObject({
  tool: z.string(),
  args: z.unknown().optional(),
  context: callContext.optional(),
  target: z
    .strictObject({
      kind: z.enum(['module', 'command', 'function']),
      path: z.string(),
      export: z.string().optional(),
      sha256: z.string().optional(),
    })
    .optional(),
  at: z.number().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
});

const wrapOptions = z.strictObject({
  params: z
    .array(z.string().regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u, 'must be an identifier'))
    .max(PARAMS_MAX)
    .refine((names) => new Set(names).size === names.length, 'must all be different')
    .optional(),
  trusted: z.array(z.enum(Object.keys(TRUSTED_KEYS) as [Trust, ...Trust[]])).optional(),
  context: callContext.optional(),
});

/** @throws {EnforceError} `ENF_CALL_ARGUMENT` naming the option that is malformed */
export function checkRunOptions(options: unknown): void {
  check(runOptions, options, 'call option');
}

/** @throws {EnforceError} `ENF_CALL_ARGUMENT` naming the option that is malformed or unknown */
export function checkWrapOptions(options: unknown): void {
  check(wrapOptions, options, 'option of a wrapped function');
}

/** @throws {EnforceError} `ENF_CALL_ARGUMENT` naming the context key that is malformed or unknown */
export function checkContext(context: unknown): void {
  check(callContext, context, '`context`');
}

/** @throws {EnforceError} `ENF_CALL_ARGUMENT` naming the key that is malformed or unknown */
export function checkDryRunCall(call: unknown): void {
  check(dryRunCall, call, 'call of a dry run');
}

/**
 * Holds a value that a program passed to the library to its shape.
 *
 * @param what - how the value is called in the message
 * @throws {EnforceError} `ENF_CALL_ARGUMENT` with the first problem; never quotes the value
 */
export function check(schema: z.ZodType, value: unknown, what: string): void {
  const parsed = schema.safeParse(value);
  if (parsed.success) return;
  const [issue] = parsed.error.issues;
  const where =
    issue === undefined || issue.path.length === 0 ? '' : ` \`${issue.path.join('.')}\``;
  throw new EnforceError(
    'ENF_CALL_ARGUMENT',
    `${what}${where} is not valid: ${issue?.message ?? 'unknown'}`,
  );
}
