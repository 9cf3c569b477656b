import type { Logger } from 'pino';
import { z } from 'zod';
import type { TrailOptions } from '../audit/index.ts';
import type { CustomRule } from '../gate/index.ts';
import type { PatternRegistry } from '../redaction/index.ts';
import { checkSettings, type Settings } from '../settings.ts';
import type { StateStore } from '../usage/index.ts';
import { check } from './call-options.ts';

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
  /** Default: silent. */
  readonly logger?: Logger;
  /** Default: from the environment and `enforcecore.config.yaml`. */
  readonly settings?: Settings;
}

const object = z.custom<object>(
  (value) => typeof value === 'object' && value !== null,
  'must be an object',
);

const enforcerOptions = z.strictObject({
  policy: z.union([z.string().min(1), object]).optional(),
  audit: z.union([z.literal(false), object]).optional(),
  patterns: object.optional(),
  rules: z.array(z.object({ id: z.string().min(1), check: z.function() })).optional(),
  store: object.optional(),
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
