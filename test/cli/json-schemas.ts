import { z } from 'zod';

/**
 * What `--json` prints, by command. Stable: a change here that is not an added key breaks whoever
 * reads it. `docs/cli.md` says the same in words.
 */
const reason = z.strictObject({ rule: z.string(), code: z.string(), message: z.string() });
const counts = z.record(z.string(), z.number().int().min(0));
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const tier = z.enum(['none', 'thread', 'process', 'hardened', 'isolated']);

const place = {
  file: z.string(),
  line: z.number().int().min(0),
  column: z.number().int().min(0),
  path: z.string(),
  message: z.string(),
};

export const validateJson = z.union([
  z.strictObject({
    ok: z.literal(true),
    policy: z.string(),
    name: z.string(),
    version: z.string().optional(),
    digest,
    files: z.array(z.string()),
    notes: z.array(z.string()),
    problems: z.tuple([]),
    warnings: z.array(z.strictObject({ ...place, code: z.enum(['idle-rule', 'loosens']) })),
  }),
  z.strictObject({
    ok: z.literal(false),
    policy: z.string(),
    problems: z
      .array(z.strictObject({ ...place, code: z.string(), suggestion: z.string().optional() }))
      .min(1),
    warnings: z.tuple([]),
  }),
]);

const verdict = z.enum(['allow', 'would-deny', 'deny']);

export const dryRunJson = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('call'),
    line: z.number().int().min(1),
    tool: z.string(),
    verdict,
    reasons: z.array(reason),
    redactions: counts,
    at: z.number().min(0),
    before: z.strictObject({ verdict, reasons: z.array(reason) }).optional(),
  }),
  z.strictObject({
    type: z.literal('bad-line'),
    line: z.number().int().min(1),
    problem: z.string(),
  }),
  z.strictObject({
    type: z.literal('summary'),
    calls: z.number().int(),
    allowed: z.number().int(),
    denied: z.number().int(),
    wouldDeny: z.number().int(),
    redacted: z.number().int(),
    badLines: z.number().int(),
    untimed: z.number().int(),
    blockRate: z.number().min(0).max(1),
    byRule: counts,
    redactions: counts,
    changes: counts,
  }),
]);

export const killJson = z.strictObject({
  tripped: z.boolean(),
  changed: z.boolean(),
  reason: z.string().nullable(),
  file: z.string(),
});

export const initJson = z.strictObject({ written: z.array(z.string()).min(1) });

export const infoJson = z.strictObject({
  version: z.string(),
  node: z.string(),
  platform: z.string(),
  settings: z.record(
    z.string(),
    z.strictObject({
      value: z.union([z.string(), z.number(), z.boolean(), z.null()]),
      from: z.enum(['environment', 'file', 'system', 'default']),
      name: z.string().optional(),
    }),
  ),
  policy: z.strictObject({
    file: z.string(),
    name: z.string().nullable(),
    digest: digest.nullable(),
    problem: z.string().nullable(),
  }),
  tiers: z.array(
    z.strictObject({
      tier,
      works: z.boolean(),
      layers: z.array(z.string()),
      cause: z.string().nullable(),
      remedy: z.string().nullable(),
    }),
  ),
  warnings: z.array(z.string()),
});

export const doctorJson = z
  .array(
    z.strictObject({
      layer: z.string(),
      works: z.boolean(),
      detail: z.string().optional(),
      cause: z.string().optional(),
      remedy: z.string().optional(),
    }),
  )
  .min(1);

const limit = z.number().min(0).nullable();

export const explainJson = z.strictObject({
  tool: z.string(),
  tier,
  layers: z.array(z.string()),
  unenforced: z.array(z.string()),
  refusal: z.string().nullable(),
  limits: z.strictObject({
    wallMs: limit,
    cpuMs: limit,
    memoryBytes: limit,
    processesMax: limit,
    openFilesMax: limit,
    fileSizeBytes: limit,
    diskBytes: limit,
    inputBytes: limit,
    argumentDepthMax: limit,
    outputBytes: limit,
  }),
  sections: z.array(z.strictObject({ title: z.string(), lines: z.array(z.string()) })),
});

/** Keys that every outcome has; those of failures are `error` and, for limits, `limit`. */
export const runJson = z.strictObject({
  callId: z.string(),
  tool: z.string(),
  target: z.looseObject({ kind: z.string(), path: z.string() }).nullable(),
  decision: z.looseObject({
    effect: z.enum(['allow', 'deny']),
    reasons: z.array(reason),
    wouldDeny: z.boolean(),
    policy: z.looseObject({ name: z.string(), digest }),
  }),
  isolation: z.strictObject({
    tier,
    layers: z.array(z.string()),
    profileDigest: z.string().nullable(),
    unenforced: z.array(z.string()),
  }),
  usage: z.strictObject({
    wallMs: z.number(),
    cpuMs: z.number(),
    peakMemoryBytes: z.number(),
    outputBytes: z.number(),
    costUsd: z.number(),
  }),
  redactions: z.strictObject({ input: z.number(), output: z.number(), byCategory: counts }),
  stdout: z.string(),
  stderr: z.string(),
  limitsHit: z.array(z.string()),
  audit: z.strictObject({ seq: z.number(), entryHash: digest }).optional(),
  status: z.string(),
  value: z.unknown().optional(),
  error: z.looseObject({ name: z.string(), code: z.string(), message: z.string() }).optional(),
  limit: z.string().optional(),
});

export const verifyJson = z.strictObject({
  ok: z.boolean(),
  exitCode: z.number().int().min(0).max(3),
  level: z.enum(['chain', 'signed', 'anchored']),
  entries: z.number().int(),
  unsigned: z.number().int(),
  rootHash: digest.nullable(),
  headHash: digest.nullable(),
  problems: z.array(z.looseObject({ kind: z.string(), message: z.string() })),
  warnings: z.array(z.looseObject({ kind: z.string(), message: z.string() })),
});

export const keygenJson = z.strictObject({ vkey: z.string(), file: z.string() });

export const recoverJson = z.strictObject({
  entries: z.number().int(),
  brokenLock: z.unknown(),
  lostCheckpoint: z.string().nullable(),
});
