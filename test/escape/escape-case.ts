import type { Tier } from '../../src/call.ts';
import type { Attempt } from './attempt.ts';

/** Tiers of the table, weakest first. */
export const CLAIMING_TIERS = ['thread', 'process', 'hardened', 'isolated'] as const;

export const STRONG: readonly Tier[] = ['hardened', 'isolated'];
export const PROCESSES: readonly Tier[] = ['process', 'hardened', 'isolated'];
export const ALL: readonly Tier[] = CLAIMING_TIERS;

/**
 * One attack, and who claims to stop it.
 *
 * `attempt` makes the attack and looks from outside whether it had its effect. It runs once with
 * nothing around the tool (the positive control, where it must be `true`), then at every claiming
 * tier (where it must be `false`).
 */
export interface EscapeCase {
  /** Names in the research: one attack may stand for several findings. */
  readonly ids: readonly [string, ...string[]];
  readonly title: string;
  readonly claimedBy: readonly Tier[];
  /** `hardened` cannot stop it, because it takes a namespace: the table says so. */
  readonly needsNamespace?: true;
  /** The other way round: something legitimate, which must work at every claiming tier. */
  readonly mustWork?: true;
  /** A tier may refuse the whole call instead: what it asks for cannot be granted safely there. */
  readonly mayRefuse?: true;
  /** Why the attack cannot succeed here even unprotected; then there is no control. */
  readonly noControl?: () => string | null;
  /** The case needs something that this host may lack: `gcc`, `root`, … */
  readonly needs?: readonly Need[];
  readonly attempt: (on: Attempt) => Promise<boolean>;
}

export type Need = 'gcc' | 'script';
