import type { CheckpointErrorEntry } from './entry.ts';
import { describeFailure, type HeadSigner } from './head-signer.ts';
import { signNote } from './signed-note.ts';

/** A checkpoint is due after this many entries, or when this time has passed since one. */
const ENTRIES_MAX = 1_000;
const INTERVAL_MS = 1_000;

/** Runs a task while the trail is locked and followed to its end. */
export type Exclusive = <T>(task: () => T | Promise<T>) => Promise<T>;

/** What a checkpointer works with. */
export interface CheckpointerParts {
  readonly headSigner: HeadSigner;
  readonly exclusive: Exclusive;
  /** Waits until every entry so far is on the disk. */
  readonly sync: () => Promise<void>;
  /** Hands a checkpoint to the witness and the backend. */
  readonly tell: (note: string) => Promise<void>;
  /** Appends an entry about a failure. */
  readonly record: (entry: CheckpointErrorEntry) => Promise<unknown>;
}

/** Has the head of a trail signed: in every second in which it grew, every 1,000 entries, and when asked. */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  /** One entry for a row of failures, so that a witness that is away does not fill the trail. */
  #hasFailed = false;

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
  }

  /** Entries that the last checkpoint of this process covers. */
  get signedSize(): number {
    return this.#parts.headSigner.signedSize;
  }

  /** Is told of the size after every append. */
  touch(size: number): void {
    if (this.#running !== null) return;
    if (size - this.signedSize >= ENTRIES_MAX && !this.#hasFailed) void this.run();
    else this.#startTimer();
  }

  /**
   * Signs the head now; resolves when that was done or has been recorded as failed.
   *
   * @param options.keep - the checkpoint stays in the history
   */
  async run({ keep = false }: { readonly keep?: boolean } = {}): Promise<void> {
    this.#running ??= this.#checkpoint(keep).finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  /** Signs the last head of this process. */
  async finish(): Promise<void> {
    await this.#running;
    await this.run({ keep: true });
    this.#stopTimer();
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => void this.run(), INTERVAL_MS).unref();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Never rejects: a failure becomes an entry, and the next interval tries again. */
  async #checkpoint(keep: boolean): Promise<void> {
    const { headSigner, exclusive, sync, tell } = this.#parts;
    this.#stopTimer();
    let stage: CheckpointErrorEntry['stage'] = 'sign';
    try {
      const head = await exclusive(() => headSigner.readHead());
      if (head === null) return;
      // INVARIANT: published only once its entries are on the disk, or a power loss would look like
      // a rollback.
      await sync();
      const note = await signNote(head.text, [head.signer]);
      stage = 'publish';
      // Appends wait only for the rename, not for the disk.
      const draft = await headSigner.draft(note);
      await exclusive(() => headSigner.adopt(draft, head.size));
      await headSigner.settle(note, head.size, { keep });
      stage = 'witness';
      await tell(note);
      this.#hasFailed = false;
    } catch (error) {
      await this.#recordFailure(stage, error);
    }
  }

  /** The trail itself may be what failed; then its appends say so, and nothing can be recorded. */
  async #recordFailure(stage: CheckpointErrorEntry['stage'], error: unknown): Promise<void> {
    this.#startTimer();
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const message = describeFailure(error);
    await this.#parts.record({ type: 'checkpoint_error', stage, message }).catch(() => {});
  }
}
