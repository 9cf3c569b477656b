import type { Finding } from './finding.ts';
import type { Scanner } from './scanner.ts';
import { isLetter } from './text/characters.ts';

/** What stays back at the end of the text so far: longer than any match with blanks in it. */
const HOLD = 512;
/** A place to cut has no digit, sign or bracket this near on either side. */
const CALM = 16;
/** More than this is never held back, whatever the text looks like. */
const PENDING_MAX = 256 * 1024;

/**
 * Redacts a text that arrives in pieces. The output is that of the whole text, however it was
 * cut; up to about 1,000 characters stay back until more text or the end comes, more within a
 * long word or table.
 */
export class RedactionStream {
  readonly #scan: Scanner;
  readonly #replace: (finding: Finding, matched: string) => string;
  readonly #counts: Record<string, number> = {};
  /** Text that was already given out and still explains what follows it. */
  #context = '';
  #pending = '';
  #scanAt = 2 * HOLD;

  constructor(scan: Scanner, replace: (finding: Finding, matched: string) => string) {
    this.#scan = scan;
    this.#replace = replace;
  }

  /** Findings so far, by category. */
  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  /**
   * Takes the next piece and returns what is certain by now; often the empty string.
   */
  push(chunk: string): string {
    this.#pending += chunk;
    if (this.#pending.length < this.#scanAt) return '';
    const text = this.#context + this.#pending;
    const findings = this.#scan({ text, hint: '' });
    const cut = this.#cut(text, findings);
    // A scan that gives nothing out is repeated only when there is twice as much.
    this.#scanAt = cut === this.#context.length ? 2 * this.#pending.length : 2 * HOLD;
    return this.#give(text, findings, cut);
  }

  /** Returns what was held back. The stream can be used again, for a new text. */
  end(): string {
    const text = this.#context + this.#pending;
    const rest = this.#give(text, this.#scan({ text, hint: '' }), text.length);
    this.#context = '';
    this.#scanAt = 2 * HOLD;
    return rest;
  }

  #cut(text: string, findings: readonly Finding[]): number {
    const from = this.#context.length;
    const cut = calmCut(text, from, text.length - HOLD, findings);
    if (cut > from || text.length - from < PENDING_MAX) return cut;
    return outside(findings, text.length - HOLD);
  }

  #give(text: string, findings: readonly Finding[], to: number): string {
    let given = '';
    let from = this.#context.length;
    for (const finding of findings) {
      if (finding.start < from || finding.end > to) continue;
      given += text.slice(from, finding.start);
      given += this.#replace(finding, text.slice(finding.start, finding.end));
      from = finding.end;
      this.#counts[finding.category] = (this.#counts[finding.category] ?? 0) + 1;
    }
    given += text.slice(from, to);
    this.#context = contextOf(text, to);
    this.#pending = text.slice(to);
    return given;
  }
}

/** The last calm position in (`from`, `to`] that is outside all findings; `from` when none is. */
function calmCut(text: string, from: number, to: number, findings: readonly Finding[]): number {
  for (let cut = to; cut > from; cut -= 1) {
    if (isBlank(text.charCodeAt(cut - 1)) && isCalm(text, cut) && outside(findings, cut) === cut) {
      return cut;
    }
  }
  return from;
}

/** No match spans this position: words of letters only on both sides. */
function isCalm(text: string, position: number): boolean {
  for (let at = Math.max(0, position - CALM); at < position + CALM; at += 1) {
    const code = text.charCodeAt(at);
    if (!isLetter(code) && !isBlank(code) && code !== 44 && code !== 39) return false;
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 10;
}

/** `position`, moved to the start of the finding that spans it. */
function outside(findings: readonly Finding[], position: number): number {
  const spanning = findings.find(({ start, end }) => start < position && end > position);
  return spanning?.start ?? position;
}

/** The last words before `to`, from a calm place on, so that they read as they did in full. */
function contextOf(text: string, to: number): string {
  const from = calmCut(text, Math.max(0, to - 4 * HOLD), to - HOLD, []);
  return text.slice(from, to);
}
