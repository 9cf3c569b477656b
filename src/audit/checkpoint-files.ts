import { randomUUID } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { type FileLayer, syncDirectory, writeFullyAsync } from './file-layer.ts';

/** The newest checkpoint of a trail. */
export const CHECKPOINT_NAME = 'checkpoint';
/** Older checkpoints, one behind the other: at least one per 1,000 entries and per segment. */
export const HISTORY_NAME = 'checkpoints';
/** One JSON object per line for every time the signing key changed. */
export const HANDOVERS_NAME = 'handovers';

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants;

/** A change of the signing key, provable without the segments: see `key-epochs.ts`. */
export interface KeyHandover {
  /** First line of the segment that names the new key, without its line feed. */
  readonly header: string;
  /** Note over the tree up to that line, signed by the old and the new key. */
  readonly checkpoint: string;
}

/** The checkpoint files in the directory of a trail. */
export class CheckpointFiles {
  readonly #directory: string;
  readonly #files: FileLayer;

  constructor(directory: string, files: FileLayer) {
    this.#directory = directory;
    this.#files = files;
  }

  /** The newest checkpoint; null when there is none, `'malformed'` when it cannot be understood. */
  latest(): SignedCheckpoint | 'malformed' | null {
    const path = join(this.#directory, CHECKPOINT_NAME);
    if (this.#files.statSync(path) === undefined) return null;
    return parseCheckpoint(readFileSync(path)) ?? 'malformed';
  }

  /** Removes what a crash left half-written. Needs the lock of the trail. */
  removeDrafts(): void {
    for (const name of this.#files.readdirSync(this.#directory)) {
      if (name.startsWith(CHECKPOINT_NAME) && name.endsWith('.tmp')) {
        this.#files.unlinkSync(join(this.#directory, name));
      }
    }
  }

  /** Writes a note to a file without a name that anybody reads; returns that name. */
  async draft(note: string): Promise<string> {
    const path = join(this.#directory, `${CHECKPOINT_NAME}-${randomUUID()}.tmp`);
    await this.#write(path, O_CREAT | O_EXCL | O_WRONLY, note);
    return path;
  }

  /**
   * Makes a draft the newest checkpoint unless a newer one is there. Needs the lock of the trail.
   *
   * @returns false when a newer one is there
   */
  publish(draft: string, size: number): boolean {
    const latest = this.latest();
    if (latest !== null && latest !== 'malformed' && latest.size > size) {
      this.#files.unlinkSync(draft);
      return false;
    }
    this.#files.renameSync(draft, join(this.#directory, CHECKPOINT_NAME));
    return true;
  }

  /** Waits until a published checkpoint would survive a power loss. */
  async sync(): Promise<void> {
    await syncDirectory(this.#files, this.#directory);
  }

  /** Adds a note to the history. */
  async remember(note: string): Promise<void> {
    await this.#write(join(this.#directory, HISTORY_NAME), O_CREAT | O_APPEND | O_WRONLY, note);
  }

  /** Adds a change of keys. */
  async rememberHandover({ header, checkpoint }: KeyHandover): Promise<void> {
    const line = `${JSON.stringify({ header, checkpoint })}\n`;
    await this.#write(join(this.#directory, HANDOVERS_NAME), O_CREAT | O_APPEND | O_WRONLY, line);
  }

  async #write(path: string, flags: number, text: string): Promise<void> {
    const fd = this.#files.openSync(path, flags);
    try {
      await writeFullyAsync(this.#files, fd, Buffer.from(text));
      await this.#files.fdatasync(fd);
    } finally {
      this.#files.closeSync(fd);
    }
  }
}
