export {
  BUILTIN_RULE_NAMES,
  PII_CATEGORY_NAMES,
  SECRET_CATEGORY_NAMES,
} from './category-names.ts';
export { compileCondition } from './condition.ts';
export { DEFAULTS } from './default-document.ts';
export { durationMs } from './duration.ts';
export { compileGlob } from './glob.ts';
export { compileInputSchema } from './input-schema.ts';
export { compileLinearPattern } from './linear-pattern.ts';
export { lintPolicy, type PolicyWarning } from './lint-policy.ts';
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
export { policySchema } from './policy-schema.ts';
export { formatProblem, type Problem, type ProblemCode } from './problem.ts';
export { readPolicyFile } from './read-policy-file.ts';
export { isWithin } from './widenings.ts';
