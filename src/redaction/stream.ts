import type { Finding } from './finding.ts';
import type { Scanner } from './scanner.ts';
import { AHEAD, contextStart, cutAfter, SEGMENT_MAX } from './segments.ts';

/** A scan waits for this much new text. */
const STEP = 512;

/**
 * Redacts a text that arrives in pieces. The output is that of the whole text, however it was
 * cut. About 1,500 characters stay back until more text or the end comes; more within a long word,
 * number or key, never more than 256 Ki.
 */
export class RedactionStream {
  readonly #scan: Scanner;
  readonly #replace: (finding: Finding, matched: string) => string;
  #counts: Record<string, number> = {};
  /** Text not yet given out, after text that was and still explains it. */
  #text = '';
  #from = 0;
  #scanAt: number = AHEAD + STEP;

  constructor(scan: Scanner, replace: (finding: Finding, matched: string) => string) {
    this.#scan = scan;
    this.#replace = replace;
  }

  /** Findings so far, by category. */
  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  /** Takes the next piece and returns what is certain by now; often the empty string. */
  push(chunk: string): string {
    this.#text += chunk;
    return this.#settle(false);
  }

  /** Returns what was held back. After that the stream takes a new text; counts go on. */
  end(): string {
    this.#scanAt = 0;
    const rest = this.#settle(true);
    this.#text = '';
    this.#from = 0;
    this.#scanAt = AHEAD + STEP;
    return rest;
  }

  #settle(isEnd: boolean): string {
    let given = '';
    while (this.#text.length - this.#from >= this.#scanAt && this.#from < this.#text.length) {
      const findings = this.#scan({ text: this.#text, hint: '' });
      const cut = cutAfter(this.#text, this.#from, findings, isEnd);
      if (cut === null) {
        // A scan that settles nothing is repeated only when there is twice as much.
        const twice = 2 * (this.#text.length - this.#from);
        this.#scanAt = Math.min(twice, SEGMENT_MAX + AHEAD);
        break;
      }
      given += this.#give(findings, cut);
      this.#scanAt = isEnd ? 0 : AHEAD + STEP;
    }
    return given;
  }

  #give(findings: readonly Finding[], cut: number): string {
    let given = '';
    let from = this.#from;
    for (const finding of findings) {
      if (finding.start < from || finding.end > cut) continue;
      given += this.#text.slice(from, finding.start);
      given += this.#replace(finding, this.#text.slice(finding.start, finding.end));
      from = finding.end;
      this.#counts[finding.category] = (this.#counts[finding.category] ?? 0) + 1;
    }
    given += this.#text.slice(from, cut);
    const start = contextStart(this.#text, cut);
    this.#text = this.#text.slice(start);
    this.#from = cut - start;
    return given;
  }
}
