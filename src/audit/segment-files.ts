const SEGMENT_NAME = /^audit-(\d{6,15})\.jsonl(\.gz)?$/;
const NUMBER_DIGITS = 6;

/** One segment file of a trail. */
export interface SegmentFile {
  readonly number: number;
  readonly name: string;
  readonly isCompressed: boolean;
}

/** Name of the plain file of a segment: `audit-000001.jsonl`. */
export function segmentName(number: number): string {
  return `audit-${String(number).padStart(NUMBER_DIGITS, '0')}.jsonl`;
}

/** What a file name says, or null for a file that is no segment. */
export function parseSegmentName(name: string): SegmentFile | null {
  const match = SEGMENT_NAME.exec(name);
  if (match === null) return null;
  const number = Number(match[1]);
  const isCompressed = match[2] !== undefined;
  const isOwnName = segmentName(number) === (isCompressed ? name.slice(0, -'.gz'.length) : name);
  return isOwnName && number >= 1 ? { number, name, isCompressed } : null;
}

/**
 * Segments among the names of a directory, lowest number first; where a plain file and its
 * compressed copy both exist, the plain one comes first.
 */
export function listSegments(names: readonly string[]): SegmentFile[] {
  return names
    .map(parseSegmentName)
    .filter((segment) => segment !== null)
    .sort((a, b) => a.number - b.number || Number(a.isCompressed) - Number(b.isCompressed));
}
