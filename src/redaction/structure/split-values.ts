import { PII_CATEGORIES } from '../categories.ts';
import type { Finding } from '../finding.ts';
import type { Place, Walk } from './walk.ts';

/** Longer strings are not pieces of one value. */
const PIECE_MAX = 160;
/** Strings that are looked at as one text, in characters. */
const JOINED_MAX = 4096;
/** Numbers that need no separator to be told from their neighbours, by checksum or shape. */
const NUMBERS: readonly string[] = ['ssn', 'credit_card'];
/** A social security number has nine digits. */
const DIGITS_MIN = 9;

/** One string of a list or object, before and after it was redacted by itself. */
export interface Piece {
  readonly key: string | number;
  readonly original: string;
  readonly redacted: string;
  readonly place: Place;
}

/**
 * Redacts values that were split over neighbours: `["536-22", "-8731"]`, `["--password", "…"]`.
 * Neighbours are read as one text, joined by nothing and by a blank; what goes across a joint is
 * cut from every piece, and stands for itself in the first one. Phone and IP numbers do not count:
 * any list of numbers has them.
 *
 * @returns the pieces that changed, by key
 */
export function redactSplitValues(
  walk: Walk,
  pieces: readonly Piece[],
): ReadonlyMap<string | number, string> {
  const changed = new Map<string | number, string>();
  for (const run of runsOf(pieces)) {
    if (!isLikely(run)) continue;
    for (const joint of ['', ' ']) if (redactRun(walk, run, joint, changed)) break;
  }
  return changed;
}

/** Neighbours that are short and had nothing redacted, two at least. */
function* runsOf(pieces: readonly Piece[]): Generator<readonly Piece[]> {
  let run: Piece[] = [];
  let length = 0;
  for (const piece of pieces) {
    const isPiece = piece.original === piece.redacted && piece.original.length <= PIECE_MAX;
    if (!isPiece || length + piece.original.length > JOINED_MAX) {
      if (run.length > 1) yield run;
      run = [];
      length = 0;
    }
    if (!isPiece) continue;
    run.push(piece);
    length += piece.original.length + 1;
  }
  if (run.length > 1) yield run;
}

/** Lists may hold a command line; members of an object only numbers. */
function isLikely(run: readonly Piece[]): boolean {
  if (typeof run[0]?.key === 'number') return true;
  let digits = 0;
  for (const { original } of run) digits += original.replace(/\D/g, '').length;
  return digits >= DIGITS_MIN;
}

function redactRun(
  walk: Walk,
  run: readonly Piece[],
  joint: string,
  changed: Map<string | number, string>,
): boolean {
  const text = run.map(({ original }) => original).join(joint);
  const findings = walk
    .find(text, (run[0] as Piece).place)
    .filter(({ category }) => NUMBERS.includes(category) || !isPii(category));
  // From the last to the first, so that offsets stay true.
  let hasChanged = false;
  for (const finding of findings.reverse()) {
    const parts = partsOf(run, joint, finding, changed);
    if (parts.length < 2 && joint === '') continue;
    hasChanged = cut(walk, finding, parts, changed) || hasChanged;
  }
  return hasChanged;
}

interface Part {
  readonly piece: Piece;
  readonly start: number;
  readonly end: number;
}

/** Where a finding in the joined text lies in each piece. */
function partsOf(
  run: readonly Piece[],
  joint: string,
  { start, end }: Finding,
  changed: ReadonlyMap<string | number, string>,
): Part[] {
  const parts: Part[] = [];
  let offset = 0;
  for (const piece of run) {
    const length = piece.original.length;
    const from = Math.max(0, start - offset);
    const to = Math.min(length, end - offset);
    if (to > from && !changed.has(piece.key)) parts.push({ piece, start: from, end: to });
    offset += length + joint.length;
  }
  return parts;
}

function cut(
  walk: Walk,
  finding: Finding,
  parts: readonly Part[],
  changed: Map<string | number, string>,
): boolean {
  const matched = parts.map(({ piece, start, end }) => piece.original.slice(start, end)).join('');
  for (const [index, { piece, start, end }] of parts.entries()) {
    const stand = index === 0 ? walk.replace(finding, matched, piece.place) : '';
    changed.set(piece.key, piece.original.slice(0, start) + stand + piece.original.slice(end));
    if (index === 0) walk.note({ ...finding, start, end }, piece.place);
  }
  return parts.length > 0;
}

function isPii(category: string): boolean {
  return (PII_CATEGORIES as readonly string[]).includes(category);
}
