/**
 * Keeps the first `bytesMax` bytes of one output of a worker. What is beyond the bound is dropped as
 * it arrives, so a flood costs no memory; what is kept is copied into one growing buffer, so a flood
 * of single bytes costs no objects.
 */
export class CapturedOutput {
  readonly #bytesMax: number;
  #buffer: Buffer = Buffer.alloc(0);
  #kept = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#kept;
  }

  /** @returns false when the chunk did not fit whole */
  push(chunk: Uint8Array): boolean {
    const room = this.#bytesMax - this.#kept;
    if (room > 0) this.#keep(chunk.subarray(0, room));
    return chunk.length <= room;
  }

  /** UTF-8, invalid bytes as U+FFFD. */
  text(): string {
    return this.#buffer.toString('utf8', 0, this.#kept);
  }

  #keep(chunk: Uint8Array): void {
    const needed = this.#kept + chunk.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(needed, 2 * this.#buffer.length, 4096));
      this.#buffer.copy(grown, 0, 0, this.#kept);
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#kept);
    this.#kept = needed;
  }
}
