export type { AuditReceipt, AuditTrail, Durability, TrailOptions } from './audit-trail.ts';
export type {
  AuditEntry,
  DecisionEntry,
  EgressEntry,
  KillSwitchEntry,
  OutcomeEntry,
  RedactionTally,
} from './entry.ts';
export { type FileLayer, nodeFileLayer } from './file-layer.ts';
export { openTrail } from './open-trail.ts';
export type { Problem, ProblemKind, Warning, WarningKind } from './problem.ts';
export { type VerifyOptions, type VerifyReport, verifyTrail } from './verify.ts';
