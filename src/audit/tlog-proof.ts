import { decodeBase64 } from './base64.ts';
import { HASH_BYTES } from './merkle-tree.ts';

/** A self-contained proof that one entry is in a trail. */
export interface TlogProof {
  readonly index: number;
  /** Sibling hashes, leaf to root. */
  readonly path: readonly Buffer[];
  /** The signed note of the tree it leads to. */
  readonly checkpoint: string;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
const INDEX_LINE = /^index (0|[1-9][0-9]{0,15})$/;
const HASHES_MAX = 64;

/**
 * Text of a proof: header, index, one hash per line, an empty line, the checkpoint.
 *
 * @see C2SP tlog-proof
 */
export function formatTlogProof({ index, path, checkpoint }: TlogProof): string {
  const hashes = path.map((hash) => `${hash.toString('base64')}\n`).join('');
  return `${HEADER}\nindex ${index}\n${hashes}\n${checkpoint}`;
}

/**
 * Parses a proof; says nothing about its truth yet.
 *
 * @param text - UNTRUSTED
 * @returns null when it is malformed; an `extra` line is allowed and ignored
 */
export function parseTlogProof(text: string): TlogProof | null {
  const split = text.indexOf('\n\n');
  if (split === -1) return null;
  const lines = text.slice(0, split).split('\n');
  if (lines.shift() !== HEADER) return null;
  if (lines[0]?.startsWith('extra ')) {
    if (decodeBase64(lines[0].slice('extra '.length)) === null) return null;
    lines.shift();
  }
  const index = Number(INDEX_LINE.exec(lines.shift() ?? '')?.[1] ?? Number.NaN);
  const path = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES) as Buffer[];
  const isSound = Number.isSafeInteger(index) && path.length === lines.length;
  if (!isSound || path.length > HASHES_MAX) return null;
  return { index, path, checkpoint: text.slice(split + 2) };
}
