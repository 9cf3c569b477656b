import { z } from 'zod';
import { TIERS } from '../call.ts';
import type { PolicyDocument } from './policy-document.ts';

/**
 * The policy language. This schema is the one source for types, error messages, the JSON Schema
 * and the reference page. Every key is optional except `name`: an absent key keeps what the base
 * policy or `policies/default.yaml` says.
 */

/** PII that can be redacted. Kept equal to the redaction engine's own list by a test. */
export const PII_CATEGORY_NAMES = ['email', 'phone', 'ssn', 'credit_card', 'ip_address'] as const;

/** Secrets that can be redacted. Kept equal to the redaction engine's own list by a test. */
export const SECRET_CATEGORY_NAMES = [
  'aws_access_key',
  'aws_secret_key',
  'github_token',
  'generic_api_key',
  'bearer_token',
  'private_key',
  'password_in_url',
  'gcp_credential',
  'azure_credential',
  'database_url',
  'ssh_key',
  'certificate',
  'vendor_token',
] as const;

export const STRATEGY_NAMES = ['placeholder', 'mask', 'hash', 'remove'] as const;

/** Longest list of names in one section: room for 10,000 tools. */
const LIST_MAX = 20_000;

/** Seven days: what `setTimeout` holds (24.8 days), with room. */
const SECONDS_MAX = 604_800;

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const controlFree = (max: number): z.ZodString =>
  text(max).regex(/^\P{Cc}*$/u, 'must not contain control characters');

const toolPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(
    /^[A-Za-z0-9_.:<>/*-]+$/,
    'must be a tool name, or a glob with `*`: letters, digits and `_ . : < > / -`',
  );

const limit = (number: z.ZodNumber): z.ZodUnion<[z.ZodLiteral<'unlimited'>, z.ZodNumber]> =>
  z.union([z.literal('unlimited'), number]);

const count = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);

const resourceLimits = z.strictObject({
  max_call_duration_seconds: limit(z.number().min(0.001).max(SECONDS_MAX))
    .exactOptional()
    .describe('From admission to result, in seconds. Then the call is killed.'),
  max_cpu_seconds: limit(z.number().min(0.001).max(SECONDS_MAX))
    .exactOptional()
    .describe('CPU time of the tool and its processes together.'),
  max_memory_mb: limit(z.number().min(1).max(16_777_216))
    .exactOptional()
    .describe('Memory of the tool and its processes; 1 MB = 1,048,576 bytes.'),
  max_processes: limit(count(0, 1_000_000))
    .exactOptional()
    .describe("Processes and threads the tool may add to the worker's own; 0 = no new process."),
  max_open_files: limit(count(16, 1_000_000))
    .exactOptional()
    .describe('Open descriptors per process.'),
  max_file_size_mb: limit(z.number().min(0).max(16_777_216))
    .exactOptional()
    .describe('Largest file the tool may write.'),
  max_disk_mb: limit(z.number().min(0).max(16_777_216))
    .exactOptional()
    .describe('What the tool may write in all, in scratch and write paths.'),
  max_input_size_bytes: limit(count(1, 1_073_741_824))
    .exactOptional()
    .describe('Serialised arguments; larger calls are denied.'),
  max_argument_depth: count(1, 512)
    .exactOptional()
    .describe('Nesting of the arguments; deeper calls are denied.'),
  max_output_size_bytes: limit(count(0, 1_073_741_824))
    .exactOptional()
    .describe('Result, stdout and stderr, each.'),
  max_concurrent_calls: limit(count(0, 100_000))
    .exactOptional()
    .describe('Calls that run at the same time under this policy; 0 denies every call.'),
});

const environment = z.strictObject({
  pass: z
    .array(
      z
        .string()
        .max(256)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a variable name'),
    )
    .max(1000)
    .exactOptional()
    .describe('Variables copied from the supervisor where it has them.'),
  set: z
    .record(
      z
        .string()
        .max(256)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a variable name'),
      z
        .string()
        .max(32_768)
        .regex(/^[^\0]*$/, 'must not contain NUL'),
    )
    .exactOptional()
    .describe('Variables with the given values.'),
});

const piiRedaction = z.strictObject({
  enabled: z
    .boolean()
    .exactOptional()
    .describe('A section that is present is on unless this is false.'),
  categories: z
    .array(z.enum(PII_CATEGORY_NAMES))
    .min(1)
    .max(100)
    .exactOptional()
    .describe('What is looked for; all by default.'),
  strategy: z.enum(STRATEGY_NAMES).exactOptional().describe('What a finding becomes.'),
  direction: z
    .enum(['both', 'input', 'output'])
    .exactOptional()
    .describe('Arguments, results, or both.'),
});

const secretDetection = z.strictObject({
  enabled: z
    .boolean()
    .exactOptional()
    .describe('A section that is present is on unless this is false.'),
  categories: z
    .union([z.literal('all'), z.array(z.enum(SECRET_CATEGORY_NAMES)).min(1).max(100)])
    .exactOptional()
    .describe('What is looked for; `all` by default.'),
});

const isolation = z.strictObject({
  level: z
    .enum(['auto', ...TIERS])
    .exactOptional()
    .describe('The tier to use; `auto` takes the highest that works on the host.'),
  min: z.enum(TIERS).exactOptional().describe('Below this tier nothing runs.'),
  require: z
    .array(
      z
        .string()
        .max(64)
        .regex(/^[a-z][a-z0-9-]*$/, 'must be the name of a layer'),
    )
    .max(64)
    .exactOptional()
    .describe('Layers without which nothing runs: `landlock`, `cgroup-memory`, …'),
  profile: z.enum(['strict', 'compat', 'off']).exactOptional().describe('System call profile.'),
  exec: z.enum(['none', 'any']).exactOptional().describe('Whether the tool may start processes.'),
  reuse: count(1, 1_000_000).exactOptional().describe('Calls one worker may serve.'),
});

const audit = z.strictObject({
  required: z.boolean().exactOptional().describe('Forbids running without an audit trail.'),
  record: z
    .enum(['digests', 'redacted'])
    .exactOptional()
    .describe('Digests of arguments and results, or both in redacted form.'),
});

/** The whole document. Unknown keys are errors at every depth. */
export const policySchema: z.ZodType<PolicyDocument> = z.strictObject({
  name: controlFree(200).describe('Names the policy in decisions, the audit trail and ledgers.'),
  version: controlFree(100).exactOptional().describe('Yours to use; recorded with every decision.'),
  allowed_tools: z
    .array(toolPattern)
    .max(LIST_MAX)
    .exactOptional()
    .describe('Tools that may run: names, or globs with `*`. Absent = all, `[]` = none.'),
  denied_tools: z
    .array(toolPattern)
    .max(LIST_MAX)
    .exactOptional()
    .describe('Tools that may not run, whatever `allowed_tools` says.'),
  pii_redaction: piiRedaction.exactOptional().describe('Personal data in arguments and results.'),
  secret_detection: secretDetection
    .exactOptional()
    .describe('Credentials in arguments and results.'),
  resource_limits: resourceLimits
    .exactOptional()
    .describe('Bounds of one call. `unlimited` must be written.'),
  environment: environment.exactOptional().describe('Nothing else reaches the tool.'),
  isolation: isolation.exactOptional().describe('How strongly a call must be separated.'),
  audit: audit.exactOptional().describe('What the audit trail must record.'),
  on_violation: z
    .enum(['block', 'log'])
    .exactOptional()
    .describe('`log` lets a call through that soft rules deny, and records `wouldDeny`.'),
});
