import { performance } from 'node:perf_hooks';
import { setTimeout as delay, setImmediate as yieldToLoop } from 'node:timers/promises';
import { AuditError } from '../errors.ts';
import type { DraftNames } from './abandoned-files.ts';
import type { AuditReceipt, AuditTrail, Durability, TrailOptions } from './audit-trail.ts';
import { Checkpointer, type Exclusive } from './checkpointer.ts';
import type { DigestKey } from './digest-key.ts';
import type { AuditEntry, TornBytes, TrailEntry } from './entry.ts';
import type { FileLayer } from './file-layer.ts';
import type { HeadSigner } from './head-signer.ts';
import { Maintenance } from './maintenance.ts';
import type { SealedEntry } from './sealed-line.ts';
import type { TrailDirectory } from './trail-directory.ts';
import type { TrailLock } from './trail-lock.ts';

const ROTATE_BYTES = 100 * 1024 * 1024;
/** Entries one supervisor may append before others get a chance at the lock. */
const BATCH_ENTRIES_MAX = 512;
/** Time for which one supervisor keeps the lock while it has more to append. */
const BATCH_MS_MAX = 5;
/** Longer than the poll of a waiting supervisor, so that it gets the lock. */
const YIELD_MS = 3;
const LOCK_WAIT_MS = 10_000;
/** Appends that may wait; the next one is refused, never dropped. */
const PENDING_MAX = 65_536;
/** Acknowledged at `queue` and not yet written; the next append waits. */
const OUTGOING_BYTES_MAX = 8 * 1024 * 1024;

/** Everything a trail is made of, opened by `openTrail`; what the caller left out has its default. */
export interface TrailParts extends TrailOptions {
  readonly directory: TrailDirectory;
  readonly lock: TrailLock;
  readonly drafts: DraftNames;
  readonly digestKey: DigestKey;
  /** Null when the trail is keyless. */
  readonly headSigner: HeadSigner | null;
  readonly origin: string;
  readonly clock: () => Date;
  readonly files: FileLayer;
}

interface Pending {
  readonly entry: TrailEntry;
  readonly resolve: (receipt: AuditReceipt) => void;
  readonly reject: (error: unknown) => void;
}

interface SealedPending extends Pending {
  readonly sealed: SealedEntry;
}

interface Task {
  readonly run: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

/**
 * The writer of a trail directory.
 *
 * An append that finds the lock free is sealed in the same tick: at `os` with one write(2), at
 * `queue` into a buffer that is written in the background. Every other append waits in line for one
 * pump. The lock is kept to the end of the tick, so appends that follow each other share it.
 */
export class DirectoryTrail implements AuditTrail {
  readonly signed: boolean;
  readonly origin: string;
  readonly path: string;
  readonly #parts: TrailParts;
  readonly #durability: Durability;
  readonly #rotateBytes: number;
  readonly #rotateAgeMs: number;
  readonly #checkpointer: Checkpointer | null;
  readonly #maintenance: Maintenance;
  readonly #pending: Pending[] = [];
  readonly #tasks: Task[] = [];
  #pump: Promise<void> | null = null;
  /** Sealed and acknowledged at `queue`, not yet given to the kernel. */
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #outgoingDone: Promise<void> | null = null;
  #failure: AuditError | null = null;
  #isClosed = false;
  #isReleaseDue = false;
  /** Another supervisor closed the newest segment and did not begin the next one. */
  #needsSegment = false;
  /** What is to be recorded in the header of the next segment. */
  #torn: TornBytes | undefined;
  #batchEntries = 0;
  #batchStartMs = 0;

  constructor(parts: TrailParts) {
    const { directory, headSigner } = parts;
    this.#parts = parts;
    this.origin = parts.origin;
    this.path = directory.path;
    this.signed = headSigner !== null;
    this.#durability = parts.durability ?? 'os';
    this.#rotateBytes = parts.rotateBytes ?? ROTATE_BYTES;
    this.#rotateAgeMs = parts.rotateAgeMs ?? Number.POSITIVE_INFINITY;
    const exclusive: Exclusive = (task) => this.#exclusive(task);
    this.#checkpointer =
      headSigner &&
      new Checkpointer({
        headSigner,
        exclusive,
        sync: () => directory.sync(),
        tell: (note) => this.#tell(note),
        record: (entry) => this.#enqueue(entry),
      });
    this.#maintenance = new Maintenance({
      ...parts,
      checkpointer: this.#checkpointer,
      record: (entry) => this.#enqueue(entry),
      compress: parts.compress ?? true,
      retainMs: parts.retainMs ?? Number.POSITIVE_INFINITY,
    });
  }

  /** Signs what is there, and begins to look after the closed segments. */
  async start(): Promise<void> {
    await this.#checkpointer?.run();
    // The header that opening the trail may have written goes to the backend before anything else.
    if (this.#parts.backend !== undefined) await this.#exclusive(() => {});
    if (this.#failure !== null) throw this.#failure;
    this.#maintenance.start();
  }

  append(entry: AuditEntry): Promise<AuditReceipt> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    try {
      if (this.#canSealNow()) return Promise.resolve(this.#sealNow(entry));
    } catch (error) {
      return Promise.reject(this.#fail(error));
    }
    return this.#enqueue(entry);
  }

  /** Appends an entry that only the trail itself may write. */
  appendOwn(entry: TrailEntry): Promise<AuditReceipt> {
    return this.#enqueue(entry);
  }

  #enqueue(entry: TrailEntry): Promise<AuditReceipt> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending.push({ entry, resolve, reject });
      this.#pump ??= this.#drain();
    });
  }

  #exclusive<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await task());
        } catch (error) {
          reject(error);
        }
      };
      this.#tasks.push({ run, reject });
      this.#pump ??= this.#drain();
    });
  }

  digest(callId: string, bytes: Uint8Array | string): string {
    return this.#parts.digestKey.digest(callId, bytes);
  }

  async #drained(): Promise<void> {
    while (this.#pump !== null || this.#outgoingDone !== null) {
      await this.#pump;
      await this.#outgoingDone;
    }
  }

  async flush(): Promise<void> {
    await this.#drained();
    if (this.#failure !== null) throw this.#failure;
    try {
      await this.#parts.directory.sync();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#maintenance.stop();
      await this.#drained();
      await this.#checkpointer?.finish();
      await this.flush();
    } finally {
      this.#parts.lock.close();
      this.#parts.directory.close();
      await this.#parts.backend?.close();
    }
  }

  #refusal(): AuditError | null {
    if (this.#failure !== null) return this.#failure;
    if (this.#isClosed) return writeError(this.path, 'it is closed');
    if (this.#pending.length >= PENDING_MAX) return writeError(this.path, 'too many entries wait');
    return null;
  }

  /** Takes the lock where it is free; the pump does what needs more than that. */
  #canSealNow(): boolean {
    const { backend, lock } = this.#parts;
    if (this.#durability === 'disk' || backend !== undefined || this.#pump !== null) return false;
    if (this.#outgoingBytes >= OUTGOING_BYTES_MAX) return false;
    if (lock.isHeld) return !this.#isBatchOver() && !this.#isRotationDue();
    if (!lock.tryAcquire()) return false;
    this.#releaseAtEndOfTick();
    this.#enter();
    return !this.#isRotationDue();
  }

  #sealNow(entry: TrailEntry): AuditReceipt {
    const { directory } = this.#parts;
    const sealed = directory.seal(entry);
    this.#batchEntries += 1;
    if (this.#durability === 'queue') this.#sendLater(sealed.line);
    else {
      directory.appendSync(sealed);
      if (mayBlockThisProcess(entry)) this.#parts.lock.release();
    }
    this.#checkpointer?.touch(directory.head.size);
    return { seq: sealed.seq, entryHash: sealed.entryHash };
  }

  /** Begins a batch under the lock. */
  #enter(): void {
    this.#batchEntries = 0;
    this.#batchStartMs = performance.now();
    const { directory } = this.#parts;
    const { needsSegment, torn } = directory.follow();
    this.#needsSegment = needsSegment;
    if (needsSegment) this.#torn = torn ?? undefined;
    else if (torn !== null) directory.appendSync(directory.seal({ type: 'recovery', torn }));
  }

  #isBatchOver(): boolean {
    return (
      this.#batchEntries >= BATCH_ENTRIES_MAX ||
      performance.now() - this.#batchStartMs > BATCH_MS_MAX
    );
  }

  #isRotationDue(): boolean {
    const { directory, clock } = this.#parts;
    if (this.#needsSegment || directory.segmentBytes + this.#outgoingBytes >= this.#rotateBytes)
      return true;
    if (this.#rotateAgeMs === Number.POSITIVE_INFINITY) return false;
    return clock().getTime() - directory.segmentStartedMs >= this.#rotateAgeMs;
  }

  #releaseAtEndOfTick(): void {
    if (this.#isReleaseDue) return;
    this.#isReleaseDue = true;
    setImmediate(() => {
      this.#isReleaseDue = false;
      if (this.#pump === null && this.#outgoingDone === null) this.#release();
    });
  }

  #release(): void {
    try {
      this.#parts.lock.release();
    } catch (error) {
      this.#fail(error);
    }
  }

  #sendLater(line: Buffer): void {
    this.#outgoing.push(line);
    this.#outgoingBytes += line.length;
    this.#outgoingDone ??= this.#send();
  }

  /** Writes what was acknowledged at `queue`. Never rejects: a failure closes the trail. */
  async #send(): Promise<void> {
    try {
      await yieldToLoop();
      while (this.#outgoing.length > 0) {
        const lines = Buffer.concat(this.#outgoing.splice(0));
        await this.#parts.directory.append(lines);
        this.#outgoingBytes -= lines.length;
      }
      this.#outgoingDone = null;
      if (this.#pump === null) this.#release();
    } catch (error) {
      this.#outgoingDone = null;
      this.#fail(error);
    }
  }

  /** Never rejects: what goes wrong reaches the appends that wait. */
  async #drain(): Promise<void> {
    try {
      // The caller must have returned before #pump can become null again.
      await null;
      for (let isDone = false; !isDone; ) {
        await this.#enterBatch();
        await this.#tasks.shift()?.run();
        isDone = await this.#writeBatch(this.#takeBatch());
      }
    } catch (error) {
      this.#pump = null;
      const failure = this.#fail(error);
      const waiting = [...this.#tasks.splice(0), ...this.#pending.splice(0)];
      for (const { reject } of waiting) reject(failure);
    }
  }

  async #enterBatch(): Promise<void> {
    const { lock } = this.#parts;
    await this.#outgoingDone;
    if (this.#failure !== null) throw this.#failure;
    if (lock.isHeld && this.#isBatchOver()) await this.#pause();
    if (!lock.isHeld) {
      await lock.acquire(LOCK_WAIT_MS);
      this.#enter();
    }
    // A task alone begins a segment only when there is none that takes entries.
    const isDue = this.#pending.length > 0 ? this.#isRotationDue() : this.#needsSegment;
    if (isDue) await this.#rotate();
  }

  async #rotate(): Promise<void> {
    const { directory, headSigner, origin } = this.#parts;
    if (headSigner === null) await directory.startSegment({ origin, vkey: null }, this.#torn);
    else await headSigner.startSegment(this.#torn);
    this.#needsSegment = false;
    this.#torn = undefined;
    this.#maintenance.start();
  }

  #takeBatch(): SealedPending[] {
    const batch: SealedPending[] = [];
    for (const pending of this.#pending.splice(0, BATCH_ENTRIES_MAX)) {
      try {
        batch.push({ ...pending, sealed: this.#parts.directory.seal(pending.entry) });
      } catch (error) {
        pending.reject(error); // the entry does not fit the format; the trail is as it was
      }
    }
    this.#batchEntries += batch.length;
    return batch;
  }

  /** @returns true when nothing waits any more and the pump has ended */
  async #writeBatch(batch: readonly SealedPending[]): Promise<boolean> {
    const { directory } = this.#parts;
    const lines = Buffer.concat(batch.map(({ sealed }) => sealed.line));
    try {
      if (lines.length > 0) await this.#store(lines);
      for (const sealed of directory.takeSealed()) await this.#parts.backend?.write(sealed);
    } catch (error) {
      const failure = this.#fail(error);
      for (const { reject } of batch) reject(failure);
      throw failure;
    }
    this.#checkpointer?.touch(directory.head.size);
    const isDone = this.#endBatch();
    for (const { resolve, sealed } of batch) {
      resolve({ seq: sealed.seq, entryHash: sealed.entryHash });
    }
    return isDone;
  }

  async #store(lines: Buffer): Promise<void> {
    const { directory } = this.#parts;
    if (this.#durability === 'os') directory.appendSync({ line: lines });
    else await directory.append(lines);
    if (this.#durability === 'disk') await directory.sync();
  }

  /** INVARIANT: the pump ends before its last entries are acknowledged, so the next one is sealed at once. */
  #endBatch(): boolean {
    if (this.#pending.length > 0 || this.#tasks.length > 0) return false;
    this.#pump = null;
    if (this.#durability === 'disk') this.#release();
    else this.#releaseAtEndOfTick();
    return true;
  }

  /** Gives the lock back between batches, and time to a supervisor that asked for it. */
  async #pause(): Promise<void> {
    const { lock } = this.#parts;
    const isWanted = lock.isWanted();
    lock.release();
    if (isWanted) await delay(YIELD_MS);
    else await yieldToLoop();
  }

  async #tell(note: string): Promise<void> {
    await this.#parts.witness?.publish(note);
    await this.#parts.backend?.checkpoint?.(note);
  }

  /** Closes the trail for good: whatever the disk does now, nothing is appended behind a gap. */
  #fail(error: unknown): AuditError {
    if (error instanceof AuditError && isPassing(error)) return error;
    this.#failure ??= toWriteError(this.path, error);
    this.#rollBack();
    return this.#failure;
  }

  #rollBack(): void {
    const { directory, lock } = this.#parts;
    try {
      if (lock.isHeld) directory.rollBack();
      lock.release();
    } catch (error) {
      // The next supervisor finds a torn line and cuts it; this trail is closed already.
      this.#failure = writeError(this.path, 'a failed write could not be rolled back', error);
    }
  }
}

/** After such an entry this process runs the tool itself, which may block for as long as it likes. */
function mayBlockThisProcess(entry: TrailEntry): boolean {
  return entry.type === 'decision' && entry.target?.kind === 'function';
}

/** The entry or the lock is at fault, not the trail. */
function isPassing(error: AuditError): boolean {
  return error.code === 'ENF_AUDIT_ENTRY' || error.code === 'ENF_AUDIT_LOCK';
}

function toWriteError(path: string, error: unknown): AuditError {
  if (error instanceof AuditError && error.code === 'ENF_AUDIT_WRITE') return error;
  return writeError(path, error instanceof Error ? error.message : String(error), error);
}

function writeError(path: string, what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_WRITE', `audit trail \`${path}\` cannot be written: ${what}`, {
    cause,
    details: { directory: path },
  });
}
