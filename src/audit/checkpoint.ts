import { decodeBase64 } from './base64.ts';
import { HASH_BYTES } from './merkle-tree.ts';
import { parseNote, type SignedNote } from './signed-note.ts';

/** What a checkpoint states: this trail had `size` entries, and this was their root. */
export interface Checkpoint {
  /** Name of the trail, a URL without scheme. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** A checkpoint as it was stored, with its signatures. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: SignedNote;
  /** The exact text, for evidence. */
  readonly source: string;
}

const DECIMAL = /^(0|[1-9][0-9]{0,15})$/;

/**
 * Text that is signed: origin, size and base64 root on a line each.
 *
 * @see C2SP tlog-checkpoint
 */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/**
 * Parses a signed checkpoint; says nothing about its signatures yet.
 *
 * @param source - UNTRUSTED
 * @returns null when it is malformed; extension lines are allowed and ignored
 */
export function parseCheckpoint(source: Uint8Array | string): SignedCheckpoint | null {
  const note = parseNote(source);
  if (note === null) return null;
  const [origin = '', decimal = '', rootText = '', ...extensions] = note.text
    .slice(0, -1)
    .split('\n');
  const root = decodeBase64(rootText);
  const size = DECIMAL.test(decimal) ? Number(decimal) : Number.NaN;
  const isSound = origin !== '' && Number.isSafeInteger(size) && root?.length === HASH_BYTES;
  if (!isSound || extensions.includes('')) return null;
  return { origin, size, root, note, source: source.toString() };
}
