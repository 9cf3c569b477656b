import { checkpointText } from './checkpoint.ts';
import type { CheckpointFiles } from './checkpoint-files.ts';
import type { TornBytes } from './entry.ts';
import { headerTree } from './key-epochs.ts';
import type { TrailKey } from './key-file.ts';
import { signNote } from './signed-note.ts';
import type { Signer } from './signing-key.ts';
import type { TrailDirectory } from './trail-directory.ts';

/** Entries between two checkpoints that stay in the history. */
const HISTORY_ENTRIES = 1_000;

/** What signing a head needs. */
export interface HeadSignerParts {
  readonly directory: TrailDirectory;
  readonly store: CheckpointFiles;
  readonly key: TrailKey;
  readonly origin: string;
}

/** The text of a checkpoint that is to be signed, and who signs it. */
export interface UnsignedHead {
  readonly text: string;
  readonly size: number;
  readonly signer: Signer;
}

/** Signs the head of a trail and hands its key over, under the lock of the trail. */
export class HeadSigner {
  readonly #parts: HeadSignerParts;
  #signedSize = 0;
  #rememberedSize = 0;

  constructor(parts: HeadSignerParts) {
    this.#parts = parts;
  }

  /** Entries that the last checkpoint of this process covers. */
  get signedSize(): number {
    return this.#signedSize;
  }

  /** The head as it is to be signed; null when this process signed it before. */
  async readHead(): Promise<UnsignedHead | null> {
    const { directory } = this.#parts;
    await this.settleKey();
    if (directory.head.size === this.#signedSize || directory.vkey === null) return null;
    return this.#head(directory.vkey);
  }

  /** Writes a signed head to the disk; needs no lock. Returns what {@link adopt} takes. */
  async draft(note: string): Promise<string> {
    return this.#parts.store.draft(note);
  }

  /** Makes a draft the newest checkpoint, unless a newer one is there. */
  adopt(draft: string, size: number): void {
    this.#parts.store.publish(draft, size);
  }

  /** Waits until an adopted checkpoint would survive a power loss; needs no lock. */
  async settle(note: string, size: number, { keep }: { readonly keep: boolean }): Promise<void> {
    await this.#parts.store.sync();
    this.#signedSize = Math.max(this.#signedSize, size);
    if (keep || size - this.#rememberedSize >= HISTORY_ENTRIES) {
      this.#rememberedSize = size;
      await this.#parts.store.remember(note);
    }
  }

  /**
   * Begins a segment: the old key signs what it covers, and the header that names the new key is
   * signed by both.
   */
  async startSegment(torn?: TornBytes): Promise<void> {
    const { directory, key, origin } = this.#parts;
    await this.settleKey();
    if (directory.vkey === null) {
      await directory.startSegment({ origin, vkey: key.signer.vkey }, torn);
      return;
    }
    const current = key.signerOf(directory.vkey);
    const next = (await this.#signClosing(directory.vkey, torn === undefined))
      ? await key.prepareNext()
      : 'unsigned';
    if (typeof next === 'string') {
      await directory.startSegment({ origin, vkey: current.vkey, keyKept: next }, torn);
    } else {
      await directory.startSegment({ origin, vkey: next.vkey }, torn);
      await this.#handOver(current, next);
    }
  }

  /** Completes a hand-over that a crash interrupted, and drops a key that no segment names. */
  async settleKey(): Promise<void> {
    const { directory, key } = this.#parts;
    const { vkey } = directory;
    if (vkey === null || vkey === key.signer.vkey) return;
    const waiting = key.waitingSigner(vkey);
    if (waiting === null) key.signerOf(vkey);
    else await this.#handOver(key.signer, waiting);
  }

  /** A signer that is away must not stop the trail; its key then stays for the next segment. */
  async #signClosing(vkey: string, mayAppend: boolean): Promise<boolean> {
    const { directory } = this.#parts;
    await directory.sync();
    const head = this.#head(vkey);
    let note: string;
    try {
      note = await signNote(head.text, [head.signer]);
    } catch (error) {
      const message = describeFailure(error);
      const entry = { type: 'checkpoint_error', stage: 'sign', message } as const;
      if (mayAppend) directory.appendSync(directory.seal(entry));
      return false;
    }
    await this.#publish(note, head.size);
    return true;
  }

  /** INVARIANT: both signatures are on the disk before the old key is erased. */
  async #handOver(current: Signer, next: Signer): Promise<void> {
    const { directory, store, key, origin } = this.#parts;
    const header = directory.headerLine;
    const tree = headerTree(header);
    if (tree === null) throw new Error('the newest segment has no header');
    const checkpoint = await signNote(checkpointText({ origin, ...tree }), [current, next]);
    await store.rememberHandover({ header, checkpoint });
    await this.#publish(checkpoint, tree.size);
    await key.adoptNext();
  }

  async #publish(note: string, size: number): Promise<void> {
    this.adopt(await this.draft(note), size);
    await this.settle(note, size, { keep: true });
  }

  #head(vkey: string): UnsignedHead {
    const { directory, key, origin } = this.#parts;
    const { size, frontier } = directory.head;
    const text = checkpointText({ origin, size, root: frontier.root() });
    return { text, size, signer: key.signerOf(vkey) };
  }
}

/** Only a code or a class name: the message of somebody else's error may hold anything. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return String((error as NodeJS.ErrnoException).code ?? error.name);
}
