import type {
  CallContext,
  Decision,
  IsolationReport,
  Json,
  LimitKind,
  Outcome,
  TargetIdentity,
  Usage,
} from '../call.ts';
import type { ErrorCode } from '../errors.ts';

/** How often something was redacted, by category; never the matched text. */
export type RedactionTally = Readonly<Record<string, number>>;

/** Written before anything runs: who asked for what, and what the policy said. */
export interface DecisionEntry {
  readonly type: 'decision';
  readonly callId: string;
  readonly tool: string;
  readonly target: TargetIdentity | null;
  readonly decision: Decision;
  /** {@link AuditTrail.digest} of the arguments as they were judged. */
  readonly argsDigest: string | null;
  /** {@link AuditTrail.digest} of the redacted arguments as they were sent to the worker. */
  readonly sentDigest: string | null;
  readonly redactions: RedactionTally;
  readonly context: CallContext;
  readonly tierAsked: string;
  /** The redacted arguments, only where the policy records them. */
  readonly args?: Json;
  readonly devMode?: true;
}

/** Written when a call has ended, in whatever way. */
export interface OutcomeEntry {
  readonly type: 'outcome';
  readonly callId: string;
  readonly status: Outcome['status'];
  readonly isolation: IsolationReport;
  readonly usage: Usage;
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
  /** The limit that ended the call. */
  readonly limit?: LimitKind;
  /** Limits that the tool met and survived. */
  readonly limitsHit: readonly string[];
  /** {@link AuditTrail.digest} of the redacted result. */
  readonly resultDigest: string | null;
  readonly redactions: RedactionTally;
  readonly errorCode?: ErrorCode;
  readonly wouldDeny?: true;
  /** The redacted result, only where the policy records it. */
  readonly result?: Json;
  readonly devMode?: true;
}

/** One connection of a tool through the supervisor's proxy, or one that was refused. */
export interface EgressEntry {
  readonly type: 'egress';
  readonly callId: string;
  readonly host: string;
  readonly port: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly effect: 'allow' | 'deny';
  readonly reason?: string;
}

/** The kill switch was tripped or reset. */
export interface KillSwitchEntry {
  readonly type: 'kill_switch';
  readonly action: 'trip' | 'reset';
  readonly reason: string;
  readonly actor?: string;
}

/** What the rest of the supervisor may write. Everything else is written by the trail itself. */
export type AuditEntry = DecisionEntry | OutcomeEntry | EgressEntry | KillSwitchEntry;

/** First line of a segment: everything a verifier needs to start there. */
export interface SegmentEntry {
  readonly type: 'segment';
  /** 1 for the first segment of a trail. */
  readonly segment: number;
  readonly origin: string;
  /** Verifier key of the key that signs this segment's checkpoints; null when keyless. */
  readonly vkey: string | null;
  /** Entries before this one. */
  readonly treeSize: number;
  /** Base64 of the roots of the complete subtrees over them, largest first. */
  readonly frontier: readonly string[];
  /** Why the signing key was not replaced at this rotation: an errno such as `EROFS`. */
  readonly keyKept?: string;
  /** Torn bytes that had to stay at the end of the segment before, which cannot be cut. */
  readonly torn?: TornBytes;
}

/** Bytes that were cut off because their line never became whole. */
export interface TornBytes {
  readonly bytes: number;
  readonly sha256: string;
}

/** A segment that is removed because it is older than the trail retains. */
export interface RetiredSegment {
  readonly segment: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of the uncompressed file. */
  readonly sha256: string;
}

/** Written, and covered by a checkpoint, before old segments are removed. */
export interface RetentionEntry {
  readonly type: 'retention';
  readonly retainMs: number;
  /** Number of the first segment that stays: all before it are removed, now or earlier. */
  readonly firstKept: number;
  readonly segments: readonly RetiredSegment[];
}

/** A line that a crash left torn was cut off, or an operator accepted a loss. */
interface RecoveryEntry {
  readonly type: 'recovery';
  readonly torn?: TornBytes;
  /** The checkpoint that the trail no longer reaches: `audit recover` accepted the loss. */
  readonly lostCheckpoint?: string;
}

/** A checkpoint could not be signed, stored or handed to the witness. */
export interface CheckpointErrorEntry {
  readonly type: 'checkpoint_error';
  readonly stage: 'sign' | 'publish' | 'witness';
  readonly message: string;
}

/** Every entry a trail can hold. */
export type TrailEntry =
  | AuditEntry
  | SegmentEntry
  | RetentionEntry
  | RecoveryEntry
  | CheckpointErrorEntry;

/** Names of the entry types. */
export type EntryType = TrailEntry['type'];
