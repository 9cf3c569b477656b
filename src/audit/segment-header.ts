import { z } from 'zod';
import { Frontier, HASH_BYTES } from './merkle-tree.ts';

const base64Hash = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === HASH_BYTES);

const headerSchema = z.object({
  type: z.literal('segment'),
  segment: z.number().int().positive(),
  origin: z.string(),
  vkey: z.string().nullable(),
  tree_size: z.number().int().nonnegative(),
  frontier: z.array(base64Hash).max(53),
  previous_hash: z.string(),
  ts: z.string(),
  torn: z.object({ bytes: z.number(), sha256: z.string() }).optional(),
});

/** First line of a segment, taken apart. */
export interface SegmentHeader {
  readonly number: number;
  readonly origin: string;
  /** Verifier key of the segment's checkpoints; null when the trail was keyless. */
  readonly vkey: string | null;
  /** The tree before this entry. */
  readonly frontier: Frontier;
  readonly previousHash: string;
  readonly startedMs: number;
  /** Torn bytes left at the end of the segment before. */
  readonly torn: { readonly bytes: number; readonly sha256: string } | undefined;
}

/**
 * Reads the header of a segment.
 *
 * @param line - UNTRUSTED; a whole line, with or without its line feed
 * @returns null when the line is no header
 */
export function parseSegmentHeader(line: string): SegmentHeader | null {
  const parsed = headerSchema.safeParse(parseJson(line));
  if (!parsed.success) return null;
  const { segment, origin, vkey, tree_size, frontier, previous_hash, ts, torn } = parsed.data;
  const tree = Frontier.of(tree_size, frontier);
  if (tree === null) return null;
  const startedMs = Date.parse(ts);
  return {
    number: segment,
    origin,
    vkey,
    frontier: tree,
    previousHash: previous_hash,
    startedMs,
    torn,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not a header either way
  }
}
