const SLOTS_FIRST = 1 << 12;
/** 2 × 32 bits for 2^19 slots: 4 MiB, and as much again for the older half. */
const SLOTS_MAX = 1 << 19;
const LOAD_MAX = 0.75;
/** Text offsets of a UUID's digits; positions 14 and 19 hold version and variant. */
const HIGH_DIGITS = [0, 1, 2, 3, 4, 5, 6, 7];
const LOW_DIGITS = [24, 25, 26, 27, 28, 29, 30, 31];

/**
 * Remembers entry ids to find one that is used twice, in bounded memory.
 *
 * It keeps 64 of the 122 random bits: two of a million honest ids agree with a probability of
 * 3 × 10⁻⁸. A table is full at 393,216 ids; the one before it is kept, older ones are forgotten. So
 * a repetition is certainly found within 393,216 entries.
 */
export class EntryIds {
  #recent = new IdTable(SLOTS_FIRST);
  #older = new IdTable(1);

  /**
   * Adds the id that stands in `bytes` from `start` on.
   *
   * @returns false when it was there before
   */
  add(bytes: Buffer, start: number): boolean {
    const high = readHex(bytes, start, HIGH_DIGITS);
    const low = readHex(bytes, start, LOW_DIGITS);
    if (this.#older.has(high, low) || this.#recent.has(high, low)) return false;
    if (this.#recent.isFull()) this.#makeRoom();
    this.#recent.add(high, low);
    return true;
  }

  #makeRoom(): void {
    if (this.#recent.slots < SLOTS_MAX) {
      this.#recent = this.#recent.grown();
    } else {
      this.#older = this.#recent;
      this.#recent = new IdTable(SLOTS_MAX);
    }
  }
}

/** Hash table with open addressing; (0, 0) marks a free slot. */
class IdTable {
  readonly slots: number;
  readonly #words: Uint32Array;
  #used = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.#words = new Uint32Array(2 * slots);
  }

  isFull(): boolean {
    return this.#used >= this.slots * LOAD_MAX;
  }

  has(high: number, low: number): boolean {
    return this.#words[this.#find(high, low)] !== 0;
  }

  add(high: number, low: number): void {
    const at = this.#find(high, low);
    // A set lowest bit keeps a stored id from looking like a free slot; it costs one bit of 64.
    this.#words[at] = (high | 1) >>> 0;
    this.#words[at + 1] = low;
    this.#used += 1;
  }

  grown(): IdTable {
    const larger = new IdTable(this.slots * 2);
    for (let at = 0; at < this.#words.length; at += 2) {
      const high = this.#words[at] as number;
      if (high !== 0) larger.add(high, this.#words[at + 1] as number);
    }
    return larger;
  }

  #find(high: number, low: number): number {
    const marked = (high | 1) >>> 0;
    let slot = (marked ^ low) & (this.slots - 1);
    for (;;) {
      const at = 2 * slot;
      const found = this.#words[at];
      if (found === 0 || (found === marked && this.#words[at + 1] === low)) return at;
      slot = (slot + 1) & (this.slots - 1);
    }
  }
}

function readHex(bytes: Buffer, start: number, offsets: readonly number[]): number {
  let value = 0;
  for (const offset of offsets) {
    const byte = bytes[start + offset] ?? 0;
    // '0'-'9' are 0x30-0x39, 'a'-'f' are 0x61-0x66: the low nibble, plus 9 for letters.
    value = (value << 4) | ((byte & 0x0f) + (byte > 0x39 ? 9 : 0));
  }
  return value >>> 0;
}
