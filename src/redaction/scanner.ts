import { PII_CATEGORIES, SECRET_CATEGORIES } from './categories.ts';
import type { Detector, Finding, Source } from './finding.ts';
import { withFreed } from './freed.ts';
import { settleOverlaps } from './overlaps.ts';
import { findInBlobs, type ScanDecoded } from './text/blobs.ts';
import { flattened } from './text/flat.ts';
import { isTouched, type Reading, readingsOf } from './text/readings.ts';

/** Ties between equally long matches go to the category that comes first here. */
const ORDER: readonly string[] = [...SECRET_CATEGORIES, ...PII_CATEGORIES];

/** Base64 in base64 is followed this far. */
const BLOB_DEPTH_MAX = 2;

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
  return ({ text, hint }) => {
    const source = { text: flattened(text), hint };
    const find = (part: Source) => findAll(detectors, part, 0);
    const found = find(source);
    return found.length === 0 ? found : withFreed(settle(found), source, { find, settle });
  };
}

function settle(found: readonly Finding[]): Finding[] {
  return settleOverlaps(found, ORDER);
}

/** Everything in the text and in its decoded views; overlaps allowed. */
function findAll(detectors: readonly Detector[], source: Source, depth: number): Finding[] {
  const found = detectIn(detectors, source);
  findInBlobs(source.text, blobScan(detectors, depth), found);
  for (const reading of readingsOf(source.text)) {
    const hint = reading.offset === 0 ? source.hint : '';
    const inView = detectIn(detectors, { text: reading.view.text, hint });
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
