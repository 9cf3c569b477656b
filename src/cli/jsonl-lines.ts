/** Longer lines are refused: no argument list that a policy lets through is that long. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;

/** One line, from 1, or why it cannot be read. Blank lines are left out. */
export type TextLine =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly problem: string };

/**
 * Splits bytes into lines of UTF-8 text, in memory that does not grow with their number. A line that
 * is too long, or not UTF-8, is a problem of its own and not of those after it.
 *
 * @param chunks - UNTRUSTED
 */
export async function* textLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number = LINE_BYTES_MAX,
): AsyncGenerator<TextLine> {
  const line = new LineBuffer(bytesMax);
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      line.add(chunk.subarray(start, end));
      const read = line.take(number);
      if (read !== null) yield read;
      number += 1;
      start = end + 1;
    }
    line.add(chunk.subarray(start));
  }
  const last = line.take(number);
  if (last !== null) yield last;
}

/** The pieces of one line, no more of them than a line may have. */
class LineBuffer {
  readonly #bytesMax: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes <= this.#bytesMax) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  take(number: number): TextLine | null {
    const [pieces, bytes] = [this.#pieces, this.#bytes];
    this.#pieces = [];
    this.#bytes = 0;
    if (bytes > this.#bytesMax)
      return { number, problem: `is longer than ${this.#bytesMax} bytes` };
    try {
      const text = this.#decoder.decode(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
      return text.trim() === '' ? null : { number, text };
    } catch {
      // The only way in which decoding fails.
      return { number, problem: 'is not UTF-8' };
    }
  }
}
