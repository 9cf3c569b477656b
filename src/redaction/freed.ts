import type { Finding, Source } from './finding.ts';

const ROUNDS_MAX = 4;
/** How far around a match is looked again; longer than any number and most tokens. */
const REACH = 160;
/** What was freed starts or ends this near to the match. */
const NEAR = 24;
/** Characters that make one word of a match and its neighbour, or do so before another one. */
const GLUE = /[\p{L}\p{M}\p{N}_@]/u;
const JOINT = /[.+:/%&\\()=~?#*$!|-]/;

/** How to look again. */
interface FreedOptions {
  readonly find: (source: Source) => Finding[];
  readonly settle: (found: readonly Finding[]) => Finding[];
}

/**
 * Adds what stood glued to a match and stands free once the match is cut out, so that redacting
 * the result finds nothing new.
 */
export function withFreed(
  settled: readonly Finding[],
  source: Source,
  { find, settle }: FreedOptions,
): Finding[] {
  let all = [...settled];
  let fresh: readonly Finding[] = settled;
  for (let round = 0; round < ROUNDS_MAX && fresh.length > 0; round += 1) {
    const freed = freedBy(find, source, fresh, all);
    if (freed.length === 0) break;
    all = settle([...all, ...freed]);
    fresh = freed;
  }
  return all;
}

function freedBy(
  find: FreedOptions['find'],
  source: Source,
  fresh: readonly Finding[],
  all: readonly Finding[],
): Finding[] {
  const piecesMax = source.text.length / (2 * REACH);
  const pieces: Piece[] = [];
  for (const finding of fresh) {
    pieces.push(...gluedPieces(source.text, finding));
    if (pieces.length > piecesMax) return find({ ...source, text: blankOut(source.text, 0, all) });
  }
  return pieces.flatMap((piece) => {
    const text = blankOut(source.text.slice(piece.from, piece.to), piece.from, all);
    return find({ text, hint: '' })
      .map(({ category, start, end }) => ({
        category,
        start: start + piece.from,
        end: end + piece.from,
      }))
      .filter(piece.isFreed);
  });
}

/** A stretch of text beside a match, and which findings in it the match may have hidden. */
interface Piece {
  readonly from: number;
  readonly to: number;
  readonly isFreed: (finding: Finding) => boolean;
}

/** What lies away from the match is unchanged; at the far edge it may be half of something. */
function gluedPieces(text: string, match: Finding): Piece[] {
  const pieces: Piece[] = [];
  if (isGlue(text, match.start - 1, -1)) {
    const from = Math.max(0, match.start - REACH);
    const isFreed = ({ start, end }: Finding) =>
      end > match.start - NEAR && (start > from || from === 0);
    pieces.push({ from, to: match.start, isFreed });
  }
  if (isGlue(text, match.end, 1)) {
    const to = Math.min(text.length, match.end + REACH);
    const isFreed = ({ start, end }: Finding) =>
      start < match.end + NEAR && (end < to || to === text.length);
    pieces.push({ from: match.end, to, isFreed });
  }
  return pieces;
}

function isGlue(text: string, at: number, step: 1 | -1): boolean {
  const next = text[at] ?? ' ';
  return GLUE.test(next) || (JOINT.test(next) && /\S/.test(text[at + step] ?? ' '));
}

/** Puts brackets around asterisks in the place of matches: what a placeholder looks like. */
function blankOut(text: string, offset: number, findings: readonly Finding[]): string {
  let blanked = '';
  let from = 0;
  for (const finding of findings) {
    const start = finding.start - offset;
    const end = Math.min(text.length, finding.end - offset);
    if (end <= from || start >= text.length) continue;
    const first = Math.max(from, start);
    blanked += text.slice(from, first) + blank(end - first);
    from = end;
  }
  return blanked + text.slice(from);
}

function blank(length: number): string {
  return length < 2 ? '*' : `<${'*'.repeat(length - 2)}>`;
}
