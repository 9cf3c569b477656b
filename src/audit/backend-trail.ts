import { randomUUID } from 'node:crypto';
import { AuditError } from '../errors.ts';
import type { AuditReceipt, AuditTrail, TrailOptions } from './audit-trail.ts';
import type { AuditBackend } from './backend.ts';
import { DigestKey } from './digest-key.ts';
import type { AuditEntry, TrailEntry } from './entry.ts';
import { TrailHead } from './sealed-line.ts';
import { entryBody } from './stored-entry.ts';

/** Appends that may wait for a backend; the next one is refused, never dropped. */
const PENDING_MAX = 65_536;
/** Options that only mean something for a directory. */
const DIRECTORY_OPTIONS = [
  'compress',
  'durability',
  'key',
  'retainMs',
  'rotateAgeMs',
  'rotateBytes',
  'witness',
] as const;

/**
 * A trail that lives in a backend alone. It begins anew with every process, is keyless, and is
 * written one entry after the other.
 */
export class BackendTrail implements AuditTrail {
  readonly signed = false;
  readonly origin: string;
  readonly path = null;
  readonly #backend: AuditBackend;
  readonly #clock: () => Date;
  readonly #digestKey = DigestKey.ephemeral();
  readonly #head = new TrailHead();
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;
  #failure: AuditError | null = null;
  #isClosed = false;

  private constructor(backend: AuditBackend, options: TrailOptions) {
    this.#backend = backend;
    this.#clock = options.clock ?? (() => new Date());
    this.origin = options.origin ?? `localhost/enforcecore/${randomUUID()}`;
  }

  /** @throws {AuditError} `ENF_AUDIT_OPEN` for an option of a directory, `ENF_AUDIT_WRITE` as `append` */
  static async open(backend: AuditBackend, options: TrailOptions): Promise<BackendTrail> {
    const misplaced = DIRECTORY_OPTIONS.find((name) => options[name] !== undefined);
    if (misplaced !== undefined) {
      throw new AuditError('ENF_AUDIT_OPEN', `audit option \`${misplaced}\` needs a \`path\``);
    }
    const trail = new BackendTrail(backend, options);
    const { origin } = trail;
    await trail.#write({
      type: 'segment',
      segment: 1,
      origin,
      vkey: null,
      treeSize: 0,
      frontier: [],
    });
    return trail;
  }

  append(entry: AuditEntry): Promise<AuditReceipt> {
    return this.#write(entry);
  }

  digest(callId: string, bytes: Uint8Array | string): string {
    return this.#digestKey.digest(callId, bytes);
  }

  async flush(): Promise<void> {
    await this.#last;
    if (this.#failure !== null) throw this.#failure;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.flush();
    } finally {
      await this.#backend.close();
    }
  }

  async #write(entry: TrailEntry): Promise<AuditReceipt> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isClosed) throw backendError('it is closed');
    if (this.#pending >= PENDING_MAX) throw backendError('too many entries wait');
    const ts = this.#clock().toISOString();
    const body = entryBody(entry, { entryId: randomUUID(), seq: this.#head.size, ts });
    const sealed = this.#head.seal(body);
    this.#pending += 1;
    const written = this.#last.then(async () => {
      this.#pending -= 1;
      if (this.#failure === null) await this.#deliver(() => this.#backend.write(sealed));
      if (this.#failure !== null) throw this.#failure;
    });
    this.#last = written.catch(() => {}); // the append that failed says so
    await written;
    return { seq: sealed.seq, entryHash: sealed.entryHash };
  }

  /** Nothing is written behind an entry that the backend did not take. */
  async #deliver(write: () => void | Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#failure = backendError((error as Error).message, error);
    }
  }
}

function backendError(what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_WRITE', `the audit backend cannot be written: ${what}`, {
    cause,
  });
}
