import type { Logger } from 'pino';
import { z } from 'zod';
import type { TrailOptions } from '../audit/index.ts';
import type { CustomRule } from '../gate/index.ts';
import type { PatternRegistry } from '../redaction/index.ts';
import { checkSettings, type Settings } from '../settings.ts';
import type { StateStore } from '../usage/index.ts';
import { check } from './call-options.ts';

/**
 * Prepared workers: processes that are started, confined and idle before the call that uses them, so
 * that a call costs milliseconds instead of a start of Node. Each serves one call and is thrown away
 * (more only where the policy says `isolation.reuse`), and only a call of the same tool file, policy
 * and tier gets it. The first call of its kind is a cold one; from then on about as many are kept
 * ready as were used at once lately.
 */
export interface PoolOptions {
  /** Workers that lie ready at most, 1 to 256. Default 4. */
  readonly workersMax?: number;
  /** What they may hold together, MB of 2^20 bytes, >= 1; one holds 20 to 50. Default 256. */
  readonly memoryMbMax?: number;
  /** Milliseconds after which an unused one is ended, 1,000 to 86,400,000. Default 60,000. */
  readonly idleMs?: number;
}

/** How an enforcer is made. */
export interface EnforcerOptions {
  /** Path of a policy, its content, or a loaded one. Default: the shipped `policies/default.yaml`. */
  readonly policy?: string | object;
  /** Where the trail goes; `false` switches audit off. Default: as the settings say. */
  readonly audit?: false | TrailOptions;
  /** Patterns of the program's own, redacted in every call. */
  readonly patterns?: PatternRegistry;
  /** Checks written in code. They only deny, and a throw denies. */
  readonly rules?: readonly CustomRule[];
  /** Counters of rates, budgets and concurrency. Default: this process's memory. */
  readonly store?: StateStore;
  /**
   * How many workers lie ready for the next calls; `false`: every call starts its own, and
   * `isolation.reuse` has no effect. Default: as {@link PoolOptions} says.
   */
  readonly pool?: false | PoolOptions;
  /** Default: silent. */
  readonly logger?: Logger;
  /** Default: from the environment and `enforcecore.config.yaml`. */
  readonly settings?: Settings;
}

const object = z.custom<object>(
  (value) => typeof value === 'object' && value !== null,
  'must be an object',
);

/** The rest is checked where it is used; a trail must go somewhere. */
const trail = z
  .looseObject({ path: z.string().min(1).optional(), backend: object.optional() })
  .refine(({ path, backend }) => path !== undefined || backend !== undefined, 'needs a `path`');

const pool = z.strictObject({
  workersMax: z.number().int().min(1).max(256).exactOptional(),
  memoryMbMax: z.number().min(1).max(1_048_576).exactOptional(),
  idleMs: z.number().int().min(1000).max(86_400_000).exactOptional(),
});

const enforcerOptions = z.strictObject({
  policy: z.union([z.string().min(1), object]).optional(),
  audit: z.union([z.literal(false), trail]).optional(),
  patterns: object.optional(),
  rules: z.array(z.object({ id: z.string().min(1), check: z.function() })).optional(),
  store: object.optional(),
  pool: z.union([z.literal(false), pool]).optional(),
  logger: object.optional(),
  settings: object.optional(),
});

/**
 * A misspelt option would leave the default in force where the program asked for something stricter.
 *
 * @throws {EnforceError} `ENF_CALL_ARGUMENT` for an option that is unknown or malformed,
 *   `ENF_SETTINGS_INVALID` for settings that are
 */
export function checkEnforcerOptions(options: EnforcerOptions): void {
  check(enforcerOptions, options, 'option of the enforcer');
  if (options.settings !== undefined) checkSettings(options.settings);
}

const POOL_DEFAULTS: Required<PoolOptions> = { workersMax: 4, memoryMbMax: 256, idleMs: 60_000 };

/** The bounds of the pool, null where there is to be none. */
export function poolBounds(options: EnforcerOptions['pool'] = {}): Required<PoolOptions> | null {
  return options === false ? null : { ...POOL_DEFAULTS, ...options };
}
