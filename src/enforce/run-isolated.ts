import type { Json, Outcome, ToolTarget } from '../call.ts';
import type { RunOptions } from './call-options.ts';
import { createEnforcer } from './create-enforcer.ts';
import type { EnforcerOptions } from './enforcer-options.ts';
import { processStore } from './process-store.ts';

/** One call with everything it needs. */
export interface RunIsolatedOptions extends RunOptions, Omit<EnforcerOptions, 'store' | 'pool'> {}

/**
 * Runs one tool isolated under a policy. For many calls, {@link createEnforcer} saves the set-up.
 * All such calls of one process share its counters, so rates and budgets hold across them.
 *
 * @param args - any JSON value
 * @returns the outcome; failures of the tool are values
 * @throws {EnforceError} for a bad policy, setting or option, or a trail that cannot be opened
 */
export async function runIsolated<T = Json | undefined>(
  target: ToolTarget,
  args: unknown = {},
  options: RunIsolatedOptions = {},
): Promise<Outcome<T>> {
  const { policy, audit, patterns, logger, settings, ...call } = options;
  const given = { policy, audit, patterns, logger, settings };
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  const enforcer = await createEnforcer({
    ...Object.fromEntries(present),
    store: processStore(),
    pool: false,
  });
  try {
    return await enforcer.run<T>(target, args, call);
  } finally {
    await enforcer.close();
  }
}
