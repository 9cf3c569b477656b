import { type Json, TIERS } from '../call.ts';

/** Keys of `resource_limits` of which the tightest in a chain holds. */
export const TIGHTENING_LIMITS: readonly string[] = [
  'max_call_duration_seconds',
  'max_cpu_seconds',
  'max_memory_mb',
  'max_processes',
  'max_open_files',
  'max_file_size_mb',
  'max_disk_mb',
  'max_input_size_bytes',
  'max_argument_depth',
  'max_output_size_bytes',
  'max_cost_usd',
  'max_concurrent_calls',
];

/** True when a limit, or the tier of `isolation.min`, confines at least as much as another. */
export function isTighter(key: string, one: Json, other: Json): boolean {
  if (key === 'isolation.min') return tierRank(one) >= tierRank(other);
  return amountOf(one) <= amountOf(other);
}

function amountOf(limit: Json): number {
  return limit === 'unlimited' ? Infinity : Number(limit);
}

function tierRank(tier: Json): number {
  const tiers: readonly Json[] = TIERS;
  return tiers.indexOf(tier);
}
