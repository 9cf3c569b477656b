export type { RunOptions, WrapOptions } from './call-options.ts';
export {
  type EnforceDecorator,
  type Enforced,
  type EnforceOptions,
  enforce,
} from './enforce-function.ts';
export {
  createEnforcer,
  type Enforcer,
  type EnforcerOptions,
  type ScopeOptions,
} from './enforcer.ts';
export { unwrap } from './outcome.ts';
export { type RunIsolatedOptions, runIsolated } from './run-isolated.ts';
export type { CallLimits } from './tighten.ts';
