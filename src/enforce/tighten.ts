import { z } from 'zod';
import { type Confinement, TIERS, type Tier } from '../call.ts';
import { EnforceError } from '../errors.ts';
import { check } from './call-options.ts';

/** Limits one call may set for itself. They only tighten the policy. */
export interface CallLimits {
  /** Whole milliseconds, at least 1. */
  readonly timeoutMs?: number;
  readonly memoryBytes?: number;
  readonly outputBytes?: number;
  /** A stronger tier than the policy's minimum. */
  readonly isolation?: Tier;
}

const callLimits = z.strictObject({
  timeoutMs: z.int().min(1).optional(),
  memoryBytes: z
    .int()
    .min(2 ** 20)
    .optional(),
  outputBytes: z.int().min(0).optional(),
  isolation: z.enum(TIERS).optional(),
});

const LIMIT_OPTIONS = [
  ['timeoutMs', 'wallMs', 'resource_limits.max_call_duration_seconds'],
  ['memoryBytes', 'memoryBytes', 'resource_limits.max_memory_mb'],
  ['outputBytes', 'outputBytes', 'resource_limits.max_output_size_bytes'],
] as const;

/**
 * The policy's confinement with a call's own limits applied. What a call sets, it demands: a tier
 * that cannot enforce it refuses the call.
 *
 * @throws {EnforceError} `ENF_CALL_LOOSER` naming both values when an option would loosen the policy;
 *   `ENF_CALL_ARGUMENT` when an option is malformed
 */
export function tighten(confinement: Confinement, options: CallLimits): Confinement {
  check(callLimits, options, 'call option');
  const limits = { ...confinement.limits };
  const explicit = new Set(confinement.explicit);
  for (const [option, limit, key] of LIMIT_OPTIONS) {
    const value = options[option];
    if (value === undefined) continue;
    if (value > limits[limit]) throw looser(option, value, key, limits[limit]);
    limits[limit] = value;
    explicit.add(key);
  }
  return { ...confinement, limits, explicit, isolation: tightenTier(confinement, options) };
}

function tightenTier(
  { isolation }: Confinement,
  { isolation: asked }: CallLimits,
): Confinement['isolation'] {
  if (asked === undefined) return isolation;
  const floor = isolation.level === 'auto' ? isolation.min : isolation.level;
  if (TIERS.indexOf(asked) < TIERS.indexOf(floor)) {
    throw looser('isolation', asked, 'isolation.min', floor);
  }
  return { ...isolation, level: asked };
}

function looser(option: string, value: unknown, key: string, held: unknown): EnforceError {
  return new EnforceError(
    'ENF_CALL_LOOSER',
    `option \`${option}\` is ${value}, but the policy's \`${key}\` holds it at ${held}; options may only tighten`,
    { details: { option, value, key, held } },
  );
}
