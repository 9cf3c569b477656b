import type { Json, Reason } from '../call.ts';
import { checkOutput } from '../gate/index.ts';
import type { RunReport } from '../isolation/index.ts';
import type { EnforcementParts } from './parts.ts';

/**
 * What the policy's output rules have against an output as it came, before redaction. Secrets are
 * looked for by a redactor of their own: a policy may block them without redacting them.
 */
export function outputReasons(
  { compiled, secretFinder }: EnforcementParts,
  tool: string,
  { end, stdout, stderr }: RunReport,
): readonly Reason[] {
  const { output_rules: shared, tools = {} } = compiled.policy.document;
  const isAsked = shared !== undefined || Object.values(tools).some((own) => own.output_rules);
  if (!isAsked) return [];
  const value = end.status === 'ok' ? plain(end.value) : end.message;
  const { counts } = secretFinder.redact([value, stdout, stderr], { direction: 'output' });
  const secretsFound = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return checkOutput(compiled, tool, { value, stdout, stderr, secretsFound });
}

/** A function of this process may return what is not JSON; the rules see its JSON form. */
function plain(value: unknown): Json | undefined {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : (JSON.parse(text) as Json);
}
