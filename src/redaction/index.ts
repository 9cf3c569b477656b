export {
  PII_CATEGORIES,
  type PiiCategory,
  SECRET_CATEGORIES,
  type SecretCategory,
  type Strategy,
} from './categories.ts';
export type { Finding } from './finding.ts';
export { type CustomPattern, PatternRegistry, type Validator } from './pattern-registry.ts';
export type { Direction } from './plan.ts';
export { detect, type OneOffOptions, redact, redactStream } from './redact.ts';
export {
  createRedactor,
  type RedactionResult,
  type RedactOptions,
  type Redactor,
} from './redactor.ts';
export type { ArgumentKind } from './replacement.ts';
export type { CustomPatternRule, PiiRules, RedactionRules, SecretRules } from './rules.ts';
export type { RedactionStream } from './stream.ts';
export type { Entity } from './structure/walk.ts';
