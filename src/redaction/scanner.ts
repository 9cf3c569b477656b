import {
  PII_CATEGORIES,
  type PiiCategory,
  SECRET_CATEGORIES,
  type SecretCategory,
} from './categories.ts';
import type { Detector, Finding, Source } from './finding.ts';
import { settleOverlaps } from './overlaps.ts';
import { findEmails } from './pii/email.ts';
import { findIpV6 } from './pii/ip-v6.ts';
import { numberDetector } from './pii/numbers.ts';
import { assignmentDetector } from './secrets/assignments.ts';
import { authorizationDetector } from './secrets/authorization.ts';
import { awsSecretKeyDetector } from './secrets/aws-secret-key.ts';
import { commandDetector } from './secrets/commands.ts';
import { findJwts } from './secrets/jwt.ts';
import { pemDetector } from './secrets/pem.ts';
import { tokenDetector } from './secrets/tokens.ts';
import { urlPasswordDetector } from './secrets/url-passwords.ts';
import { findInBlobs, type ScanDecoded } from './text/blobs.ts';
import { isTouched, type Reading, readingsOf } from './text/readings.ts';

/** Ties between equally long matches go to the category that comes first here. */
const ORDER: readonly string[] = [...SECRET_CATEGORIES, ...PII_CATEGORIES];

/** Base64 in base64 is followed this far. */
const BLOB_DEPTH_MAX = 2;
const ROUNDS_MAX = 4;
/** How far around a match is looked again; longer than any number and most tokens. */
const REACH = 160;
/** What was freed starts or ends this near to the match. */
const NEAR = 24;
/** Characters that make one word of a match and its neighbour, or do so before another one. */
const GLUE = /[\p{L}\p{M}\p{N}_@]/u;
const JOINT = /[.+:/%&\\()=~?#*$!|-]/;

/** Finds everything it was made for in a text: disjoint findings in order of position. */
export type Scanner = (source: Source) => Finding[];

/**
 * Makes a scanner from detectors.
 *
 * They look at the text as it is and at every way it reads when decoded, layer by layer; what they
 * find is cut from the original. What they find in base64 and hexadecimal takes the whole run.
 *
 * @param detectors - run one after the other over the text; their overlaps are settled
 */
export function createScanner(detectors: readonly Detector[]): Scanner {
  if (detectors.length === 0) return () => [];
  return (source) => {
    const found = findAll(detectors, source, 0);
    return found.length === 0 ? found : withFreed(detectors, source, settleOverlaps(found, ORDER));
  };
}

/** Everything in the text and in its decoded views; overlaps allowed. */
function findAll(detectors: readonly Detector[], source: Source, depth: number): Finding[] {
  const found = detectIn(detectors, source);
  findInBlobs(source.text, blobScan(detectors, depth), found);
  for (const reading of readingsOf(source.text)) {
    const inView = detectIn(detectors, { ...source, text: reading.view.text });
    findInBlobs(reading.view.text, blobScan(detectors, depth), inView);
    for (const finding of inView) {
      if (isTouched(reading, finding.start, finding.end)) found.push(toOriginal(finding, reading));
    }
  }
  return found;
}

function detectIn(detectors: readonly Detector[], source: Source): Finding[] {
  const found: Finding[] = [];
  for (const detect of detectors) detect(source, found);
  return found;
}

function blobScan(detectors: readonly Detector[], depth: number): ScanDecoded {
  if (depth >= BLOB_DEPTH_MAX) return () => [];
  return (text) => findAll(detectors, { text, hint: '' }, depth + 1);
}

function toOriginal({ category, start, end }: Finding, { view, offset }: Reading): Finding {
  const first = view.starts[start] as number;
  const last = view.starts[end - 1] as number;
  // What was displayed the other way round ends where it starts.
  return last < first
    ? { category, start: offset + last, end: offset + (view.ends[start] as number) }
    : { category, start: offset + first, end: offset + (view.ends[end - 1] as number) };
}

/**
 * Adds what stood glued to a match and stands free once the match is cut out, so that redacting
 * the result finds nothing new.
 */
function withFreed(
  detectors: readonly Detector[],
  source: Source,
  settled: readonly Finding[],
): Finding[] {
  let all = [...settled];
  let fresh: readonly Finding[] = settled;
  for (let round = 0; round < ROUNDS_MAX && fresh.length > 0; round += 1) {
    const freed = freedBy(detectors, source, fresh, all);
    if (freed.length === 0) break;
    all = settleOverlaps([...all, ...freed], ORDER);
    fresh = freed;
  }
  return all;
}

function freedBy(
  detectors: readonly Detector[],
  source: Source,
  fresh: readonly Finding[],
  all: readonly Finding[],
): Finding[] {
  const pieces = fresh.flatMap((finding) => gluedPieces(source.text, finding));
  if (pieces.length * REACH * 2 > source.text.length) {
    const text = blankOut(source.text, 0, all);
    return findAll(detectors, { ...source, text }, 0);
  }
  return pieces.flatMap((piece) => {
    const text = blankOut(source.text.slice(piece.from, piece.to), piece.from, all);
    return findAll(detectors, { text, hint: '' }, 0)
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

/** The detectors for some categories of personal data. */
export function piiDetectors(categories: readonly PiiCategory[]): Detector[] {
  const detectors: Detector[] = [];
  if (categories.includes('email')) detectors.push(findEmails);
  if (categories.some((category) => category !== 'email'))
    detectors.push(numberDetector(categories));
  if (categories.includes('ip_address')) detectors.push(findIpV6);
  return detectors;
}

/** The detectors for some categories of secrets. */
export function secretDetectors(categories: readonly SecretCategory[]): Detector[] {
  if (categories.length === 0) return [];
  const wanted: ReadonlySet<string> = new Set(categories);
  return [
    tokenDetector(wanted),
    pemDetector(wanted),
    ...(wanted.has('bearer_token') ? [findJwts] : []),
    authorizationDetector(wanted),
    urlPasswordDetector(wanted),
    awsSecretKeyDetector(wanted),
    assignmentDetector(wanted),
    commandDetector(wanted),
  ];
}
