export {
  type AuditReceipt,
  type AuditTrail,
  openTrail,
  type TrailOptions,
  type VerifyOptions,
  type VerifyReport,
  verifyTrail,
} from './audit/index.ts';
export type {
  CallContext,
  Decision,
  Failure,
  IsolationReport,
  Json,
  LimitKind,
  Outcome,
  OutcomeFacts,
  Reason,
  RedactionCounts,
  TargetIdentity,
  Tier,
  ToolTarget,
  Usage,
} from './call.ts';
export {
  type CallLimits,
  createEnforcer,
  type EnforceDecorator,
  type Enforced,
  type EnforceOptions,
  type Enforcer,
  type EnforcerOptions,
  enforce,
  type RunIsolatedOptions,
  type RunOptions,
  runIsolated,
  type ScopeOptions,
  unwrap,
  type WrapOptions,
} from './enforce/index.ts';
export {
  AuditError,
  CallDeniedError,
  EnforceError,
  ERROR_CODES,
  type ErrorCode,
  IsolationUnavailableError,
  isEnforceError,
  LimitExceededError,
  PolicyError,
  ToolError,
  WorkerError,
} from './errors.ts';
export type { CustomRule } from './gate/index.ts';
export type { Trust } from './isolation/index.ts';
export {
  type LoadPolicyOptions,
  loadPolicy,
  mergePolicies,
  type Policy,
  policyJsonSchema,
} from './policy/index.ts';
export {
  createRedactor,
  detect,
  type Entity,
  PatternRegistry,
  type RedactionResult,
  type RedactionRules,
  type Redactor,
  redact,
  redactStream,
} from './redaction/index.ts';
export { loadSettings, type Settings, type SettingsSources } from './settings.ts';
export {
  type KillSwitch,
  memoryStore,
  type StateStore,
} from './usage/index.ts';
