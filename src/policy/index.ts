export { DEFAULTS, type DefaultSections } from './default-document.ts';
export { type LoadPolicyOptions, loadPolicy, type Policy, shippedDefault } from './load-policy.ts';
export type * from './policy-document.ts';
export {
  PII_CATEGORY_NAMES,
  policySchema,
  SECRET_CATEGORY_NAMES,
  STRATEGY_NAMES,
} from './policy-schema.ts';
export type { Problem, ProblemCode } from './problem.ts';
