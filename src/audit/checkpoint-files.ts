import { constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DraftNames } from './abandoned-files.ts';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { type FileLayer, syncDirectory, writeFullyAsync } from './file-layer.ts';
import { splitNotes } from './signed-note.ts';

/** The newest checkpoint of a trail. */
export const CHECKPOINT_NAME = 'checkpoint';
/** Older checkpoints, one behind the other: at least one per 1,000 entries and per segment. */
export const HISTORY_NAME = 'checkpoints';
/** One JSON object per line for every time the signing key changed. */
export const HANDOVERS_NAME = 'handovers';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;
const LINE_FEED = 0x0a;

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

  readonly #drafts: DraftNames;

  constructor(directory: string, drafts: DraftNames, files: FileLayer) {
    this.#directory = directory;
    this.#drafts = drafts;
    this.#files = files;
  }

  /** The newest checkpoint; null when there is none, `'malformed'` when it cannot be understood. */
  latest(): SignedCheckpoint | 'malformed' | null {
    const path = join(this.#directory, CHECKPOINT_NAME);
    if (this.#files.statSync(path) === undefined) return null;
    return parseCheckpoint(readFileSync(path)) ?? 'malformed';
  }

  /** Writes a note to a file without a name that anybody reads; returns that name. */
  async draft(note: string): Promise<string> {
    const path = join(this.#directory, this.#drafts.next(CHECKPOINT_NAME));
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
    await this.#add(HISTORY_NAME, note, (text) => {
      const notes = splitNotes(text);
      return notes.filter((one) => parseCheckpoint(one) !== null).join('');
    });
  }

  /** Adds a change of keys. */
  async rememberHandover({ header, checkpoint }: KeyHandover): Promise<void> {
    const line = `${JSON.stringify({ header, checkpoint })}\n`;
    await this.#add(HANDOVERS_NAME, line, (text) => text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /**
   * Adds to a file; what a crash left half-written at its end is cut off first.
   *
   * @param whole - gives the part of the file that is whole
   */
  async #add(name: string, text: string, whole: (text: string) => string): Promise<void> {
    const path = join(this.#directory, name);
    if (this.#isTorn(path)) this.#cut(path, Buffer.byteLength(whole(readFileSync(path, 'utf8'))));
    await this.#write(path, O_CREAT | O_APPEND | O_WRONLY, text);
  }

  #isTorn(path: string): boolean {
    const size = this.#files.statSync(path)?.size ?? 0;
    if (size === 0) return false;
    const last = Buffer.alloc(1);
    const fd = this.#files.openSync(path, O_RDONLY);
    try {
      this.#files.readSync(fd, last, size - 1);
    } finally {
      this.#files.closeSync(fd);
    }
    return last[0] !== LINE_FEED;
  }

  #cut(path: string, length: number): void {
    const fd = this.#files.openSync(path, O_WRONLY);
    try {
      this.#files.ftruncateSync(fd, length);
    } finally {
      this.#files.closeSync(fd);
    }
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
