export type { RunOptions, WrapOptions } from './call-options.ts';
export { createEnforcer } from './create-enforcer.ts';
export { type CurrentCall, currentCall } from './current-call.ts';
export {
  createDryRun,
  type DryRun,
  type DryRunCall,
  type DryRunOptions,
  type DryRunResult,
  dryRun,
} from './dry-run.ts';
export {
  type EnforceDecorator,
  type Enforced,
  type EnforceOptions,
  enforce,
} from './enforce-function.ts';
export type { Enforcer, ScopeOptions } from './enforcer.ts';
export type { EnforcerOptions } from './enforcer-options.ts';
export type { ExplainOptions, Explanation } from './explain-call.ts';
export { unwrap } from './outcome.ts';
export { type RunIsolatedOptions, runIsolated } from './run-isolated.ts';
export type { CallLimits } from './tighten.ts';
