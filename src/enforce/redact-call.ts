import { serialize } from 'node:v8';
import type { Json, Limits, Reason, Tier } from '../call.ts';
import { isEnforceError } from '../errors.ts';
import type { ToolRules } from '../gate/index.ts';
import {
  encodeIJson,
  IJsonError,
  RESULT_DEPTH_MAX,
  type RunEnd,
  type RunReport,
} from '../isolation/index.ts';
import type { Redactor } from '../redaction/index.ts';
import type { IdentifiedCall } from './identify.ts';

/** How often something was redacted, by category. */
export type Counts = Readonly<Record<string, number>>;

/** The arguments as they will be sent: these bytes, no others. */
export interface SentArguments {
  readonly args: Json;
  /** null when the call was refused before. */
  readonly argsJson: string | null;
  readonly counts: Counts;
  readonly refusals: readonly Reason[];
}

/** Redacts the frozen arguments. What cannot be redacted in full is refused. */
export function redactArguments(
  call: IdentifiedCall,
  redactor: Redactor,
  { argumentKinds }: ToolRules,
): SentArguments {
  if (call.argsJson === null) return { args: null, argsJson: null, counts: {}, refusals: [] };
  try {
    const options = { direction: 'input', root: 'args', kinds: argumentKinds } as const;
    const { value, counts } = redactor.redact(call.args, options);
    const isUnchanged = Object.keys(counts).length === 0;
    const argsJson = isUnchanged ? call.argsJson : JSON.stringify(value);
    return { args: value, argsJson, counts, refusals: [] };
  } catch (cause) {
    if (!isEnforceError(cause)) throw cause;
    const refusal = { rule: 'redaction', code: cause.code, message: cause.message };
    return { args: null, argsJson: null, counts: {}, refusals: [refusal] };
  }
}

/** What a tool gave, redacted. */
export interface RedactedOutput {
  readonly end: RunEnd;
  readonly stdout: string;
  readonly stderr: string;
  readonly counts: Counts;
  /** Why the result is withheld. */
  readonly refusals: readonly Reason[];
}

/** Longest message of a tool's own error that is passed on. */
const TOOL_MESSAGE_CHARS_MAX = 4096;

/** Redacts result, stdout, stderr and error text. What cannot be redacted in full is withheld. */
export function redactOutput(
  report: RunReport,
  redactor: Redactor,
  { redactOutput: isOn }: ToolRules,
): RedactedOutput {
  const { end, stdout, stderr } = report;
  if (!isOn) return { end: capped(end), stdout, stderr, counts: {}, refusals: [] };
  try {
    const out = redactor.redactText(stdout, { direction: 'output' });
    const err = redactor.redactText(stderr, { direction: 'output' });
    const result = redactEnd(end, redactor);
    const counts = addCounts(out.counts, err.counts, result.counts);
    return { end: result.end, stdout: out.value, stderr: err.value, counts, refusals: [] };
  } catch (cause) {
    if (!isEnforceError(cause)) throw cause;
    const refusal = { rule: 'redaction', code: cause.code, message: cause.message };
    return { end, stdout: '', stderr: '', counts: {}, refusals: [refusal] };
  }
}

function redactEnd(end: RunEnd, redactor: Redactor): { end: RunEnd; counts: Counts } {
  if (end.status === 'ok') {
    const { value, counts } = redactor.redact(end.value, { direction: 'output', root: 'result' });
    return { end: { status: 'ok', value }, counts };
  }
  const { value: message, counts } = redactor.redactText(end.message, { direction: 'output' });
  return { end: capped({ ...end, message }), counts };
}

/** UNTRUSTED: a tool-error's message is the tool's own. */
function capped(end: RunEnd): RunEnd {
  if (end.status === 'ok') return end;
  return { ...end, message: end.message.slice(0, TOOL_MESSAGE_CHARS_MAX).toWellFormed() };
}

/**
 * Whether a redacted result is beyond its limit: one may grow by being redacted, and those of
 * functions of this process were not measured before.
 */
export function isTooLarge(value: unknown, tier: Tier | 'none', { outputBytes }: Limits): boolean {
  if (!Number.isFinite(outputBytes) || value === undefined) return false;
  return sizeOf(value, tier) > outputBytes;
}

/** In bytes of JSON; of what JSON cannot hold (Map, BigInt, cycles), those of its structured clone. */
function sizeOf(value: unknown, tier: Tier | 'none'): number {
  const json = jsonOf(value, tier);
  return json === null ? serialize(value).length : Buffer.byteLength(json);
}

/** A result as JSON; null for what is not, which only a function of this process may return. */
export function jsonOf(value: unknown, tier: Tier | 'none'): string | null {
  // What came from a worker was checked to be I-JSON, and is plain data.
  if (tier !== 'none') return JSON.stringify(value) ?? null;
  try {
    const bounds = { depthMax: RESULT_DEPTH_MAX, bytesMax: Number.MAX_SAFE_INTEGER };
    return encodeIJson(value, 'result', bounds);
  } catch (cause) {
    if (!(cause instanceof IJsonError)) throw cause;
    return null;
  }
}

/** Counts of several parts as one. */
export function addCounts(...parts: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [category, count] of Object.entries(part)) {
      sum[category] = (sum[category] ?? 0) + count;
    }
  }
  return sum;
}
