import { decodeBase64 } from './base64.ts';
import { HASH_BYTES } from './merkle-tree.ts';

/** A consistency proof with the checkpoint that it leads to. */
export interface ConsistencyProof {
  readonly oldSize: number;
  readonly hashes: readonly Buffer[];
  /** The signed note of the larger tree. */
  readonly checkpoint: string;
}

const OLD_LINE = /^old (0|[1-9][0-9]{0,15})$/;
const HASHES_MAX = 63;

/**
 * Text of a consistency proof: old size, one hash per line, an empty line, the newer checkpoint.
 *
 * @see C2SP tlog-witness, "add-checkpoint"
 */
export function formatConsistencyProof({ oldSize, hashes, checkpoint }: ConsistencyProof): string {
  const lines = hashes.map((hash) => `${hash.toString('base64')}\n`).join('');
  return `old ${oldSize}\n${lines}\n${checkpoint}`;
}

/**
 * Parses a consistency proof; says nothing about its truth yet.
 *
 * @param text - UNTRUSTED
 * @returns null when it is malformed
 */
export function parseConsistencyProof(text: string): ConsistencyProof | null {
  const split = text.indexOf('\n\n');
  if (split === -1) return null;
  const [first = '', ...lines] = text.slice(0, split).split('\n');
  const oldSize = Number(OLD_LINE.exec(first)?.[1] ?? Number.NaN);
  const hashes = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES) as Buffer[];
  if (!Number.isSafeInteger(oldSize) || hashes.length !== lines.length) return null;
  if (hashes.length > HASHES_MAX) return null;
  return { oldSize, hashes, checkpoint: text.slice(split + 2) };
}
