export { type Condition, type ConditionInput, compileCondition } from './condition.ts';
export { DEFAULTS, type DefaultSections } from './default-document.ts';
export { durationMs } from './duration.ts';
export { compileGlob } from './glob.ts';
export { compileInputSchema, type InputCheck, type InputMismatch } from './input-schema.ts';
export { compileLinearPattern, type LinearPattern } from './linear-pattern.ts';
export {
  type LoadPolicyOptions,
  loadPolicy,
  mergePolicies,
  type Policy,
  shippedDefault,
} from './load-policy.ts';
export { narrowSections } from './merge-documents.ts';
export {
  CHECK_WORK_MAX,
  compilePatternSet,
  type PatternSet,
  type WorkBudget,
} from './pattern-set.ts';
export type * from './policy-document.ts';
export { policyJsonSchema } from './policy-json-schema.ts';
export {
  ARGUMENT_KINDS,
  BUILTIN_RULE_NAMES,
  PII_CATEGORY_NAMES,
  policySchema,
  SECRET_CATEGORY_NAMES,
  STRATEGY_NAMES,
} from './policy-schema.ts';
export type { Problem, ProblemCode } from './problem.ts';
export { isWithin } from './widenings.ts';
