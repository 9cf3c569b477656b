/**
 * A text as somebody reads it who decodes it, with the way back: unit `i` of `text` stands for
 * `original.slice(starts[i], ends[i])`.
 */
export interface View {
  readonly text: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Builds a view unit by unit, in order. */
export class ViewBuilder {
  #units: Uint16Array;
  #starts: Int32Array;
  #ends: Int32Array;
  #length = 0;

  /** @param length - what is expected; a longer view costs a copy */
  constructor(length: number) {
    this.#units = new Uint16Array(length);
    this.#starts = new Int32Array(length);
    this.#ends = new Int32Array(length);
  }

  /** Adds one UTF-16 unit that stands for `start`–`end` of the source. */
  unit(unit: number, start: number, end: number): void {
    this.#makeRoom(1);
    this.#units[this.#length] = unit;
    this.#starts[this.#length] = start;
    this.#ends[this.#length] = end;
    this.#length += 1;
  }

  /** Adds a stretch of the source as it is. */
  copy(text: string, from: number, to: number): void {
    this.#makeRoom(to - from);
    const units = this.#units;
    const starts = this.#starts;
    const ends = this.#ends;
    let length = this.#length;
    for (let at = from; at < to; at += 1) {
      units[length] = text.charCodeAt(at);
      starts[length] = at;
      ends[length] = at + 1;
      length += 1;
    }
    this.#length = length;
  }

  /** Adds a text of which every unit stands for `start`–`end`. Shorter than that span, or equal. */
  text(text: string, start: number, end: number): void {
    for (let at = 0; at < text.length; at += 1) this.unit(text.charCodeAt(at), start, end);
  }

  #makeRoom(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#units.length) return;
    this.#units = grown(this.#units, new Uint16Array(2 * needed));
    this.#starts = grown(this.#starts, new Int32Array(2 * needed));
    this.#ends = grown(this.#ends, new Int32Array(2 * needed));
  }

  /** Makes the last unit stand for everything up to `end`: a mark that was left out. */
  stretch(end: number): void {
    if (this.#length > 0) this.#ends[this.#length - 1] = end;
  }

  /**
   * The finished view.
   *
   * @param source - the view this one was made from, if that is not the original itself
   */
  build(source: View | null): View {
    const starts = this.#starts.subarray(0, this.#length);
    const ends = this.#ends.subarray(0, this.#length);
    for (let at = 0; source !== null && at < this.#length; at += 1) {
      const first = starts[at] as number;
      const last = (ends[at] as number) - 1;
      starts[at] = source.starts[first] as number;
      ends[at] = source.ends[last] as number;
    }
    return { text: this.#string(), starts, ends };
  }

  #string(): string {
    const units = this.#units.subarray(0, this.#length);
    if (this.#isLatin1()) return Buffer.from(units).toString('latin1');
    return Buffer.from(units.buffer, 0, 2 * this.#length).toString('utf16le');
  }

  #isLatin1(): boolean {
    for (let at = 0; at < this.#length; at += 1)
      if ((this.#units[at] as number) > 255) return false;
    return true;
  }
}

function grown<Cells extends Uint16Array | Int32Array>(old: Cells, larger: Cells): Cells {
  larger.set(old);
  return larger;
}
