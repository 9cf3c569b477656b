import { z } from 'zod';

const count = z.number().int().nonnegative();
const hex = z.string().regex(/^[0-9a-f]{64}$/);
/** What stands in the place of a value that made the line too long. */
const summary = z.strictObject({ bytes: count, sha256: hex });
const text = z.union([z.string(), summary]);
const digest = z.union([z.string(), z.null(), summary]);
const json = z.json();
const tally = z.union([z.record(z.string(), z.number()), summary]);
const torn = z.strictObject({ bytes: count, sha256: hex });

const common = {
  schema: z.literal('enforcecore.audit-entry.v1'),
  seq: count,
  ts: z.iso.datetime({ precision: 3 }),
  entry_id: z.uuidv4(),
  previous_hash: hex,
  entry_hash: hex,
};

const decision = z.strictObject({
  ...common,
  type: z.literal('decision'),
  call_id: text,
  tool: text,
  target: z.union([
    z.null(),
    summary,
    z.strictObject({
      kind: z.enum(['module', 'command', 'function']),
      path: z.string(),
      export: z.string().optional(),
      sha256: z.string().optional(),
    }),
  ]),
  effect: z.enum(['allow', 'deny']),
  would_deny: z.literal(true).optional(),
  reasons: z.union([
    z.array(z.strictObject({ code: z.string(), message: z.string(), rule: z.string() })),
    summary,
  ]),
  policy: z.union([
    z.strictObject({ digest: z.string(), name: z.string(), version: z.string().optional() }),
    summary,
  ]),
  args_digest: digest,
  sent_digest: digest,
  redactions: tally,
  context: z.union([
    z.strictObject({
      agent: z.string().optional(),
      session: z.string().optional(),
      tenant: z.string().optional(),
    }),
    summary,
  ]),
  tier_asked: text,
  args: json.optional(),
  dev_mode: z.literal(true).optional(),
});

const outcome = z.strictObject({
  ...common,
  type: z.literal('outcome'),
  call_id: text,
  status: z.string(),
  isolation: z.union([
    z.strictObject({
      tier: z.string(),
      layers: z.array(z.string()),
      profile_digest: z.string().nullable(),
      unenforced: z.array(z.string()),
    }),
    summary,
  ]),
  usage: z.strictObject({
    cost_usd: z.number().nullable(),
    cpu_ms: z.number().nullable(),
    output_bytes: z.number().nullable(),
    peak_memory_bytes: z.number().nullable(),
    wall_ms: z.number().nullable(),
  }),
  exit: z.strictObject({ code: z.number().nullable(), signal: z.string().nullable() }).nullable(),
  limit: z.string().optional(),
  limits_hit: z.union([z.array(z.string()), summary]),
  result_digest: digest,
  redactions: tally,
  error_code: z.string().optional(),
  would_deny: z.literal(true).optional(),
  result: json.optional(),
  dev_mode: z.literal(true).optional(),
});

const egress = z.strictObject({
  ...common,
  type: z.literal('egress'),
  call_id: text,
  host: text,
  port: z.number(),
  bytes_in: z.number(),
  bytes_out: z.number(),
  effect: z.enum(['allow', 'deny']),
  reason: text.optional(),
});

const killSwitch = z.strictObject({
  ...common,
  type: z.literal('kill_switch'),
  action: z.enum(['trip', 'reset']),
  reason: text,
  actor: text.optional(),
});

const segment = z.strictObject({
  ...common,
  type: z.literal('segment'),
  segment: count,
  origin: z.string(),
  vkey: z.string().nullable(),
  tree_size: count,
  frontier: z.array(z.base64()),
  key_kept: z.string().optional(),
  torn: torn.optional(),
});

const retention = z.strictObject({
  ...common,
  type: z.literal('retention'),
  retain_ms: z.number(),
  first_kept: count,
  segments: z.union([
    z.array(z.strictObject({ segment: count, first_seq: count, last_seq: count, sha256: hex })),
    summary,
  ]),
});

const recovery = z.strictObject({
  ...common,
  type: z.literal('recovery'),
  torn: torn.optional(),
  lost_checkpoint: text.optional(),
});

const checkpointError = z.strictObject({
  ...common,
  type: z.literal('checkpoint_error'),
  stage: z.enum(['sign', 'publish', 'witness']),
  message: text,
});

/** An entry of a trail of the Python EnforceCore, whose members are that project's. */
const pythonEntry = z.strictObject({
  schema: z.literal('enforcecore.audit-entry.v1'),
  type: z.literal('enforcecore_py'),
  seq: count,
  entry: z.record(z.string(), json),
});

/** Every form that an exported entry can have. */
export const exportedEntrySchema: z.ZodType<ExportedEntry> = z.discriminatedUnion('type', [
  checkpointError,
  decision,
  egress,
  killSwitch,
  outcome,
  pythonEntry,
  recovery,
  retention,
  segment,
]);

/**
 * An entry as it is exported. The schema is stable: members are added, never renamed or removed;
 * anything else gets a new value of `schema`.
 */
export interface ExportedEntry {
  readonly schema: 'enforcecore.audit-entry.v1';
  readonly type: string;
  readonly seq: number;
  readonly [member: string]: unknown;
}

/** JSON Schema (draft 2020-12) of the entries that `exportTrail` yields. */
export function exportedEntryJsonSchema(): object {
  return z.toJSONSchema(exportedEntrySchema);
}
