import { decode, isEncodedAt } from './decode.ts';
import { fold, isFoldable } from './fold.ts';
import { unquotePrintable } from './quoted-printable.ts';
import { unreverse } from './reversal.ts';
import type { View } from './view.ts';

/** How many layers of encoding are undone: `%252540` has three. */
const LAYERS_MAX = 4;
/** Plain text around an encoded place that is read with it. */
const MARGIN = 256;
/** A window goes on to the next blank, so that long words stay whole, at most this far. */
const WORD_MAX = 16 * 1024;
/** Words before and after a match that can decide about it; see `context.ts`. */
const CONTEXT_BEFORE = 64;
const CONTEXT_AFTER = 16;

/** A part of a text as it reads when decoded, and where that part starts. */
export interface Reading {
  readonly original: string;
  readonly offset: number;
  readonly view: View;
}

/**
 * Every way that parts of a text read when folded to ASCII and decoded, layer by layer. Only parts
 * around something foldable or encoded are read; most texts have none.
 */
export function* readingsOf(text: string): Generator<Reading> {
  for (const { from, to } of windowsOf(text)) {
    const original = text.slice(from, to);
    for (const view of viewsOf(original)) yield { original, offset: from, view };
  }
}

/**
 * True when something decoded lies within a span of a view or in the words around it. What does
 * not is found in the original as well, or is an effect of the window's edge.
 */
export function isTouched({ original, view }: Reading, start: number, end: number): boolean {
  const from = Math.max(0, start - CONTEXT_BEFORE);
  const to = Math.min(view.text.length, end + CONTEXT_AFTER);
  const source = original.slice(view.starts[from], view.ends[to - 1]);
  return source !== view.text.slice(from, to);
}

interface Window {
  readonly from: number;
  readonly to: number;
}

function* windowsOf(text: string): Generator<Window> {
  let from = -1;
  let to = -1;
  for (const place of placesOf(text)) {
    if (from >= 0 && place <= to + MARGIN) {
      if (place + MARGIN > to) to = endAround(text, place);
      continue;
    }
    if (from >= 0) yield { from, to };
    from = Math.max(to, startAround(text, place));
    to = endAround(text, place);
  }
  if (from < 0) return;
  // A key in PEM may have one encoded line and a thousand plain ones.
  yield text.includes('PRIVATE') ? { from: 0, to: text.length } : { from, to };
}

/** Positions of what can be folded or decoded. */
function* placesOf(text: string): Generator<number> {
  // All but everyday ASCII, and then what rules most brackets and `=` out: one class is three times
  // as fast as two alternatives.
  const candidates = /[^\t-\r -$'),-<>-Z\]-z|}~*](?<![[({](?![.@:]))(?<!=(?![\dA-F]{2}|\r?\n))/g;
  while (candidates.test(text)) {
    const at = candidates.lastIndex - 1;
    const code = text.charCodeAt(at);
    if (code < 128 ? isEncodedAt(text, at, code) : isFoldable(text, at, code)) yield at;
  }
}

function startAround(text: string, place: number): number {
  let at = Math.max(0, place - MARGIN);
  const limit = Math.max(0, at - WORD_MAX);
  while (at > limit && !isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function endAround(text: string, place: number): number {
  let at = Math.min(text.length, place + MARGIN);
  const limit = Math.min(text.length, at + WORD_MAX);
  while (at < limit && !isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

/** The text folded to ASCII, and then decoded, again and again, as long as that changes it. */
function* viewsOf(text: string): Generator<View> {
  const displayed = unreverse(text);
  if (displayed !== null) yield fold(displayed.text, displayed) ?? displayed;
  const printable = unquotePrintable(text);
  if (printable !== null) yield fold(printable.text, printable) ?? printable;
  let current = fold(text, null);
  if (current !== null) yield current;
  for (let layer = 0; layer < LAYERS_MAX; layer += 1) {
    const decoded = decode(current?.text ?? text, current);
    if (decoded === null) return;
    current = fold(decoded.text, decoded) ?? decoded;
    yield current;
  }
}
