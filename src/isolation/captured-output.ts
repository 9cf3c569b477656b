import type { Readable } from 'node:stream';

/**
 * Keeps the first `bytesMax` bytes of one output stream of a worker and reports the overflow.
 * Bytes beyond the bound are dropped as they arrive, so a flood costs no memory; what is kept is
 * copied into one growing buffer, so a flood of single bytes costs no objects.
 */
export class CapturedOutput {
  readonly #bytesMax: number;
  #buffer: Buffer = Buffer.alloc(0);
  #kept = 0;

  /** @param onOverflow - called for every chunk that does not fit whole */
  constructor(stream: Readable, bytesMax: number, onOverflow: () => void) {
    this.#bytesMax = bytesMax;
    stream.on('data', (chunk: Buffer) => {
      const room = this.#bytesMax - this.#kept;
      if (room > 0) this.#keep(chunk.subarray(0, room));
      if (chunk.length > room) onOverflow();
    });
  }

  get bytes(): number {
    return this.#kept;
  }

  /** UTF-8, invalid bytes as U+FFFD. */
  text(): string {
    return this.#buffer.toString('utf8', 0, this.#kept);
  }

  #keep(chunk: Buffer): void {
    const needed = this.#kept + chunk.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(needed, 2 * this.#buffer.length, 4096));
      this.#buffer.copy(grown, 0, 0, this.#kept);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#kept);
    this.#kept = needed;
  }
}
