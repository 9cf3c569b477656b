import { z } from 'zod';
import { type Json, TIERS } from '../call.ts';
import {
  ARGUMENT_KINDS,
  BUILTIN_RULE_NAMES,
  PII_CATEGORY_NAMES,
  SECRET_CATEGORY_NAMES,
  STRATEGY_NAMES,
} from './category-names.ts';
import { compileInputSchema } from './input-schema.ts';
import type { PolicyDocument } from './policy-document.ts';
import {
  condition,
  count,
  domain,
  duration,
  enabled,
  LIST_MAX,
  limit,
  line,
  path,
  pattern,
  RULES_MAX,
  ruleName,
  SECONDS_MAX,
  toolName,
  toolPattern,
  variableName,
  WINDOW_SECONDS_MAX,
} from './schema-values.ts';

/**
 * The policy language. This schema is the one source for error messages, the JSON Schema and the
 * reference page. Every key is optional except `name`: an absent key keeps what the base policy or
 * `policies/default.yaml` says.
 */

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
  max_cost_usd: limit(z.number().min(0).max(1_000_000))
    .exactOptional()
    .describe(
      'Budget over all calls of an agent and tenant, in US dollars; 0 denies every call. Costs come from `cost`.',
    ),
  max_concurrent_calls: limit(count(0, 100_000))
    .exactOptional()
    .describe('Calls that run at the same time under this policy; 0 denies every call.'),
  on_busy: z
    .union([
      z.literal('deny'),
      z.strictObject({
        queue: count(1, 100_000).describe('Calls that may wait; more are denied.'),
        waitMs: count(1, 3_600_000).describe('How long one may wait, in milliseconds.'),
      }),
    ])
    .exactOptional()
    .describe('What happens when `max_concurrent_calls` are running.'),
});

const environment = z.strictObject({
  pass: z
    .array(variableName)
    .max(1000)
    .exactOptional()
    .describe('Variables copied from the supervisor where it has them.'),
  set: z
    .record(
      variableName,
      z
        .string()
        .max(32_768)
        .regex(/^[^\0]*$/, 'must not contain NUL'),
    )
    .exactOptional()
    .describe('Variables with the given values.'),
});

const filesystem = z.strictObject({
  read: z
    .array(path)
    .max(1000)
    .exactOptional()
    .describe('What the tool may read besides its code.'),
  write: z.array(path).max(1000).exactOptional().describe('What the tool may read and write.'),
  deny: z.array(path).max(1000).exactOptional().describe('Exceptions from `read` and `write`.'),
  execute: z.array(path).max(1000).exactOptional().describe('Programs the tool may start.'),
});

const domainRules = z.strictObject({
  enabled,
  allowed_domains: z
    .array(domain)
    .max(LIST_MAX)
    .exactOptional()
    .describe('`example.com`, or `*.example.com` for its subdomains; `*` for all.'),
  denied_domains: z.array(domain).max(LIST_MAX).exactOptional().describe('Win over allowed ones.'),
  deny_all_other: z.boolean().exactOptional().describe('True unless said otherwise.'),
});

const network = z.union([z.literal('none'), z.literal('unrestricted'), domainRules]);

const piiRedaction = z.strictObject({
  enabled,
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
  exempt: z
    .array(
      z
        .string()
        .max(256)
        .regex(/^args(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])+$/, 'must be a path such as `args.to`'),
    )
    .max(1000)
    .exactOptional()
    .describe('Arguments whose personal data is passed on: `args.to`.'),
  salt: line(256)
    .exactOptional()
    .describe('Key of the `hash` strategy; without one, hashes of short numbers can be guessed.'),
});

const secretDetection = z.strictObject({
  enabled,
  categories: z
    .union([z.literal('all'), z.array(z.enum(SECRET_CATEGORY_NAMES)).min(1).max(100)])
    .exactOptional()
    .describe('What is looked for; `all` by default.'),
  strategy: z.enum(STRATEGY_NAMES).exactOptional().describe('What a finding becomes.'),
});

const customPattern = z.strictObject({
  name: ruleName.describe('Names the category in counts and in the placeholder.'),
  pattern,
  validator: z.enum(['luhn', 'iban', 'none']).exactOptional().describe('Checks what was found.'),
  placeholder: line(64).exactOptional().describe('Instead of `<NAME>`.'),
});

const contentRules = z.strictObject({
  enabled,
  builtins: z
    .array(z.enum(BUILTIN_RULE_NAMES))
    .max(100)
    .exactOptional()
    .describe('All of them unless listed.'),
  block_patterns: z
    .array(
      z.strictObject({
        name: ruleName,
        pattern,
        action: z
          .enum(['block', 'redact', 'log'])
          .exactOptional()
          .describe('Deny the call, redact what matches, or only record it.'),
      }),
    )
    .max(RULES_MAX)
    .exactOptional(),
});

const outputRules = z.strictObject({
  enabled,
  block_secrets: z
    .boolean()
    .exactOptional()
    .describe('Withholds a result in which a secret was found; true unless said otherwise.'),
  block_patterns: z
    .array(z.strictObject({ name: ruleName, pattern }))
    .max(RULES_MAX)
    .exactOptional(),
});

const rateWindow = z.strictObject({
  max_calls: count(0, 1_000_000),
  window_seconds: z.number().min(0.001).max(WINDOW_SECONDS_MAX),
});

const rateLimits = z
  .object({ enabled })
  .catchall(z.union([rateWindow, z.array(rateWindow).min(1).max(10)]));

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
  reuse: count(1, 1_000_000)
    .exactOptional()
    .describe(
      'Calls that one prepared worker may serve, one after another, for tools trusted with what their other calls left: see docs/isolation.md.',
    ),
});

const audit = z.strictObject({
  required: z.boolean().exactOptional().describe('Forbids running without an audit trail.'),
  record: z
    .enum(['digests', 'redacted'])
    .exactOptional()
    .describe('Digests of arguments and results, or both in redacted form.'),
});

const priorCall = z.strictObject({
  tool: toolPattern,
  within: duration.exactOptional().describe('At any time of the session when absent.'),
});

const sequenceRule = z.union([
  z.strictObject({
    tool: toolPattern,
    requires_prior: priorCall.describe('A call that must have ended `ok` before.'),
  }),
  z.strictObject({
    tool: toolPattern,
    forbid_after: priorCall.describe('A call after which `tool` may not run.'),
  }),
  z.strictObject({
    tool: toolPattern,
    sum: z
      .string()
      .max(256)
      .regex(/^args(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])+$/, 'must be a path such as `args.amount`')
      .describe('The argument to add up: a number >= 0.'),
    max: z.number().min(0).max(1e15),
    within: duration,
  }),
]);

/** The sections that may stand at the top and, narrowing it, under one tool. */
const toolSections = {
  conditions: z
    .array(condition)
    .max(RULES_MAX)
    .exactOptional()
    .describe(
      'CEL over `tool`, `args`, `context`, `now`; each must hold. A condition that fails denies.',
    ),
  pii_redaction: piiRedaction.exactOptional().describe('Personal data in arguments and results.'),
  secret_detection: secretDetection
    .exactOptional()
    .describe('Credentials in arguments and results.'),
  custom_patterns: z
    .array(customPattern)
    .max(RULES_MAX)
    .exactOptional()
    .describe('Your own kinds of data to redact.'),
  redact_output: z.boolean().exactOptional().describe('Whether results are redacted; true.'),
  content_rules: contentRules
    .exactOptional()
    .describe('What arguments may not contain; `{}` = all built-in rules. Tripwires, not walls.'),
  output_rules: outputRules.exactOptional().describe('What results may not contain.'),
  network: network
    .exactOptional()
    .describe('Where the tool may connect to; the same rule is applied to addresses in arguments.'),
  resource_limits: resourceLimits
    .exactOptional()
    .describe('Bounds of one call. `unlimited` must be written.'),
  filesystem: filesystem.exactOptional().describe('Paths, relative to this file.'),
  environment: environment.exactOptional().describe('Nothing else reaches the tool.'),
  isolation: isolation.exactOptional().describe('How strongly a call must be separated.'),
};

const jsonSchema = z.record(z.string().max(256), z.custom<Json>()).check((context) => {
  for (const { path, message } of compileInputSchema(context.value).problems) {
    context.issues.push({ code: 'custom', input: context.value, path: [...path], message });
  }
});

const toolSection = z.strictObject({
  target: z
    .strictObject({
      path: path.exactOptional().describe('The module or program, relative to this file.'),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
        .exactOptional()
        .describe('Of the bytes of the file.'),
    })
    .exactOptional()
    .describe('A pin: other code under this name is denied.'),
  args: z
    .record(
      z
        .string()
        .max(256)
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, 'must be the name of an argument'),
      z.enum(ARGUMENT_KINDS),
    )
    .exactOptional()
    .describe('What kind of string each argument is; `data` if not said.'),
  input_schema: jsonSchema
    .exactOptional()
    .describe('JSON Schema of the arguments, checked before the call.'),
  ...toolSections,
});

/** The whole document. Unknown keys are errors at every depth. */
export const policySchema: z.ZodType<PolicyDocument> = z.strictObject({
  name: line(200).describe('Names the policy in decisions, the audit trail and ledgers.'),
  version: line(100).exactOptional().describe('Yours to use; recorded with every decision.'),
  inheritance: z
    .enum(['merge', 'narrow'])
    .exactOptional()
    .describe('In a base policy, `narrow` forbids the policies that extend it to widen anything.'),
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
  sequence_rules: z
    .array(sequenceRule)
    .max(RULES_MAX)
    .exactOptional()
    .describe('What must, or must not, have happened before in the same session.'),
  tools: z
    .record(toolName, toolSection)
    .exactOptional()
    .describe('Per tool: facts about it, and sections that narrow what holds for all.'),
  rate_limits: rateLimits
    .exactOptional()
    .describe('Sliding windows by tool name, per agent and tenant; `global` for all calls.'),
  cost: z
    .record(toolName, z.number().min(0).max(1_000_000))
    .exactOptional()
    .describe('US dollars a call, by tool name; counted against `max_cost_usd`.'),
  audit: audit.exactOptional().describe('What the audit trail must record.'),
  on_violation: z
    .enum(['block', 'log'])
    .exactOptional()
    .describe('`log` lets a call through that soft rules deny, and records `wouldDeny`.'),
  ...toolSections,
});
