import type { Finding, Source } from './finding.ts';
import type { Scanner } from './scanner.ts';
import { isDigit } from './text/characters.ts';
import { flattened } from './text/flat.ts';
import { isFoldable } from './text/fold.ts';

/** A text is scanned in segments of at most this many characters, so that memory stays bounded. */
export const SEGMENT_MAX: number = 256 * 1024;
/**
 * What must be known after a cut: longer than any match with a blank in it, but for a key in PEM,
 * which counts as a match from its first lines on.
 */
export const AHEAD = 1024;
/** What is kept before a cut, for the words that explain what follows. */
const CONTEXT = 2048;
/** Digits this near on both sides of a blank may be one number. */
const NEAR = 8;

/**
 * Scans a text of any length: the same as one scan, with the memory of a segment.
 */
export function scanInSegments(scan: Scanner, source: Source): Finding[] {
  const { text, hint } = source;
  if (text.length < SEGMENT_MAX + AHEAD) return scan(source);
  const found: Finding[] = [];
  for (let from = 0; from < text.length; ) {
    const start = contextStart(text, from);
    const window = flattened(text.slice(start, from + SEGMENT_MAX + AHEAD));
    const isEnd = start + window.length === text.length;
    const findings = scan({ text: window, hint: start === 0 ? hint : '' });
    const cut = start + (cutAfter(window, from - start, findings, isEnd) ?? window.length);
    for (const finding of findings) {
      if (start + finding.start >= from && start + finding.end <= cut) {
        found.push({ ...finding, start: start + finding.start, end: start + finding.end });
      }
    }
    from = cut;
  }
  return found;
}

/**
 * The position up to which a text is settled, whatever comes after it.
 *
 * @param from - up to where it was settled before
 * @param findings - of a scan of `text`
 * @param isEnd - nothing comes after it
 * @returns null when more text is needed
 */
export function cutAfter(
  text: string,
  from: number,
  findings: readonly Finding[],
  isEnd: boolean,
): number | null {
  if (isEnd && text.length - from < SEGMENT_MAX + AHEAD) return text.length;
  const limit = Math.min(from + SEGMENT_MAX, text.length - AHEAD);
  let next = findings.length - 1;
  for (let cut = blankBefore(text, limit); cut > from; cut = blankBefore(text, cut - 1)) {
    while (next >= 0 && (findings[next]?.start ?? 0) >= cut) next -= 1;
    const isWithin = (findings[next]?.end ?? 0) > cut;
    if (!isWithin && isBarrier(text, cut)) return cut;
  }
  // One word, number or table of this length is cut where it is.
  if (text.length - from < SEGMENT_MAX + AHEAD) return null;
  const across = findings.find(({ start, end }) => start < limit && end > limit);
  return across === undefined || across.start <= from ? limit : across.start;
}

/** Where the context of a position starts: at a barrier, so that it reads as it did in full. */
export function contextStart(text: string, position: number): number {
  const latest = Math.max(0, position - CONTEXT);
  const earliest = Math.max(0, latest - CONTEXT);
  for (let at = latest; at > earliest; at -= 1) if (isBarrier(text, at)) return at;
  return latest;
}

/** The latest position up to `at` that has a blank, or a Han or kana character, before it; or 0. */
function blankBefore(text: string, at: number): number {
  let blank = at;
  while (blank > 0 && !isBlank(text.charCodeAt(blank - 1))) blank -= 1;
  return blank;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 10 || (code >= 0x3000 && code < 0xd800);
}

/** A blank, or a Han or kana character, that no number goes across. */
function isBarrier(text: string, at: number): boolean {
  if (!isBlank(text.charCodeAt(at - 1))) return false;
  return !(hasNumber(text, at - NEAR, at) && hasNumber(text, at, at + NEAR));
}

/** A digit, or what may be one when decoded. */
function hasNumber(text: string, from: number, to: number): boolean {
  for (let at = Math.max(0, from); at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code) || code === 37 || code === 38 || code === 92) return true;
    if (code > 127 && isFoldable(text, at, code)) return true;
  }
  return false;
}
