export type { AuditReceipt, AuditTrail, Durability, TrailOptions } from './audit-trail.ts';
export {
  type AuditBackend,
  type CallbackBackendOptions,
  callbackBackend,
  jsonlBackend,
  multiBackend,
  nullBackend,
} from './backend.ts';
export { type BrowsedEntry, type BrowseOptions, browseTrail, TAIL_MAX } from './browse.ts';
export { checkConsistencyProof, checkEntryProof, type ProvenTree } from './check-proof.ts';
export { revealSalt, saltedDigest } from './digest-key.ts';
export type {
  AuditEntry,
  DecisionEntry,
  EgressEntry,
  KillSwitchEntry,
  OutcomeEntry,
  RedactionTally,
} from './entry.ts';
export {
  type CallFacts,
  callIdOf,
  type EntryFilter,
  FILTER_KEYS,
  type FilterKey,
  timeOf,
} from './entry-filter.ts';
export { type ExportedEntry, exportedEntryJsonSchema } from './entry-schema.ts';
export { type ExportOptions, exportTrail } from './export.ts';
export { type FileLayer, nodeFileLayer } from './file-layer.ts';
export { type GenerateKeyOptions, generateKey } from './key-generation.ts';
export { openTrail } from './open-trail.ts';
export type { Problem, ProblemKind, Warning, WarningKind } from './problem.ts';
export { type EntryProof, proveConsistency, proveEntry } from './prove.ts';
export { type PythonEntry, type ReadOptions, readTrail, type StoredEntry } from './read.ts';
export { type RecoverOptions, type RecoverReport, recoverTrail } from './recover.ts';
export type { SealedEntry } from './sealed-line.ts';
export type { Signer } from './signing-key.ts';
export { type VerifyOptions, type VerifyReport, verifyTrail } from './verify.ts';
export { callbackWitness, fileWitness, type Witness } from './witness.ts';
