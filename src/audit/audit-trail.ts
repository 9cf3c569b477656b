import type { AuditBackend } from './backend.ts';
import type { AuditEntry } from './entry.ts';
import type { FileLayer } from './file-layer.ts';
import type { Signer } from './signing-key.ts';
import type { Witness } from './witness.ts';

/** Place of an entry in its trail. */
export interface AuditReceipt {
  /** Number of the entry, 0-based, which is also its leaf index in the tree. */
  readonly seq: number;
  /** 64 hex digits. */
  readonly entryHash: string;
}

/**
 * When an append counts as done: `queue` once it is in the queue of this process; `os` once the
 * kernel has it, which survives `kill -9`; `disk` once the disk has it, which survives a power loss.
 */
export type Durability = 'queue' | 'os' | 'disk';

/** A trail that takes entries. The owner closes it. */
export interface AuditTrail {
  /** False for a keyless trail: a rewrite by the host cannot be detected. */
  readonly signed: boolean;
  /** Name of the trail in checkpoints, a URL without scheme. */
  readonly origin: string;
  /** The directory; null for a trail that only has a backend. */
  readonly path: string | null;
  /**
   * Appends one entry; resolves when it is as durable as the level says.
   *
   * @throws {AuditError} `ENF_AUDIT_WRITE` when it cannot be written, and from then on for every
   *   later entry; `ENF_AUDIT_LOCK` when another process holds the trail; `ENF_AUDIT_ENTRY` when the
   *   entry does not fit the format
   */
  append(entry: AuditEntry): Promise<AuditReceipt>;
  /**
   * Salted SHA-256 of data that must not be in the trail itself, 64 hex digits.
   *
   * @param callId - chooses the salt; revealing that salt proves this one call
   */
  digest(callId: string, bytes: Uint8Array | string): string;
  /** Resolves when every entry appended so far is on the disk. */
  flush(): Promise<void>;
  /** Flushes, and releases everything. Later appends are refused. */
  close(): Promise<void>;
}

/** How a trail is opened. */
export interface TrailOptions {
  /** Directory of the trail, created with mode 0700; may be left out when there is a `backend`. */
  readonly path?: string;
  /**
   * Path of a 0600 file with the private key, which is replaced at each rotation, or a signer that
   * keeps its key. Without one the trail is keyless: a rewrite by the host cannot be detected.
   */
  readonly key?: string | Signer;
  readonly durability?: Durability;
  /** A segment of at least this many bytes is followed by a new one. */
  readonly rotateBytes?: number;
  /** A segment of at least this age is followed by a new one. */
  readonly rotateAgeMs?: number;
  /** Segments that were closed longer ago than this are removed; default never. */
  readonly retainMs?: number;
  /** Closed segments are compressed with gzip; default true. */
  readonly compress?: boolean;
  /**
   * Takes every entry as well, or alone when there is no `path`; what it does not take counts as not
   * written.
   */
  readonly backend?: AuditBackend;
  /** Takes every checkpoint; needs a key. */
  readonly witness?: Witness;
  /** URL without scheme that names the trail in checkpoints; default `localhost/enforcecore/<uuid>`. */
  readonly origin?: string;
  readonly clock?: () => Date;
  /** For tests. */
  readonly files?: FileLayer;
}
