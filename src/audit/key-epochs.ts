import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import type { KeyHandover } from './checkpoint-files.ts';
import { hashStoredLine, splitLine } from './sealed-line.ts';
import { parseSegmentHeader } from './segment-header.ts';
import { checkNote } from './signed-note.ts';
import { parseVerifierKey, type VerifierKey } from './signing-key.ts';

/** A key, and the entries from which on it alone may sign. */
export interface KeyEpoch {
  readonly key: VerifierKey;
  /** Sequence number of the segment header that names the key; 0 for the first key. */
  readonly firstSeq: number;
}

/** Tree that ends with the header of a segment: its size and its root. */
export interface HeaderTree {
  readonly size: number;
  readonly root: Buffer;
  readonly vkey: string | null;
}

/**
 * The tree up to a segment header, from that line alone: the header holds the frontier before it.
 *
 * @param line - UNTRUSTED, without its line feed
 * @returns null when the line is no intact header
 */
export function headerTree(line: string): HeaderTree | null {
  const header = parseSegmentHeader(line);
  const bytes = Buffer.from(`\n${line}`);
  const parts = splitLine(bytes, 1, bytes.length);
  if (header === null || parts === null) return null;
  if (hashStoredLine(bytes, 1, bytes.length) !== parts.entryHash) return null;
  const tree = header.frontier.clone();
  tree.add(Buffer.from(parts.entryHash, 'hex'));
  return { size: tree.size, root: tree.root(), vkey: header.vkey };
}

/** What became of a record of a change of keys. */
export type HandoverVerdict = 'accepted' | 'before-pinned-key' | 'malformed' | 'bad-signature';

/**
 * The keys that follow from a pinned one: each hand-over must be signed by the key before and the
 * key after it, so whoever has only a later key can make no other beginning for it.
 */
export class KeyEpochs {
  readonly #epochs: KeyEpoch[];
  #isReached = false;

  /** @param pinned - the key that the verifier got elsewhere */
  constructor(pinned: VerifierKey) {
    this.#epochs = [{ key: pinned, firstSeq: 0 }];
  }

  /** Every key that may have signed something. */
  get keys(): readonly VerifierKey[] {
    return this.#epochs.map(({ key }) => key);
  }

  /** Takes the next record into account. */
  accept({ header, checkpoint }: KeyHandover): HandoverVerdict {
    const tree = headerTree(header);
    const signed = parseCheckpoint(checkpoint);
    if (tree === null || tree.vkey === null || signed === null) return 'malformed';
    if (signed.size !== tree.size || !signed.root.equals(tree.root)) return 'malformed';
    const latest = this.#epochs.at(-1) as KeyEpoch;
    const next = tree.vkey === latest.key.vkey ? latest.key : parseKey(tree.vkey);
    if (next === null) return 'malformed';
    const { signers, hasBadSignature } = checkNote(signed.note, [latest.key, next]);
    if (hasBadSignature || !signers.includes(next)) return 'bad-signature';
    if (next === latest.key) return this.#reach(latest, tree.size - 1);
    if (signers.length < 2) return this.#isReached ? 'bad-signature' : 'before-pinned-key';
    this.#isReached = true;
    this.#epochs.push({ key: next, firstSeq: tree.size - 1 });
    return 'accepted';
  }

  /** The pinned key is itself a later key of the trail; or a crash left a record twice. */
  #reach(latest: KeyEpoch, firstSeq: number): HandoverVerdict {
    if (this.#isReached) return latest.firstSeq === firstSeq ? 'accepted' : 'malformed';
    this.#isReached = true;
    this.#epochs[0] = { key: latest.key, firstSeq };
    return 'accepted';
  }

  /** The key that has to sign a checkpoint of this size; null before the pinned key came into force. */
  keyFor(size: number): VerifierKey | null {
    return this.#epochs.findLast(({ firstSeq }) => firstSeq < Math.max(size, 1))?.key ?? null;
  }

  /** True when the key is one of the trail, at whatever time. */
  knows(vkey: string): boolean {
    return this.#epochs.some(({ key }) => key.vkey === vkey);
  }
}

/** Judgement over the signatures of a checkpoint. */
export type SignatureVerdict =
  | 'signed'
  | 'bad_signature'
  | 'untrusted_key'
  | 'wrong_epoch'
  | 'before_pinned_key';

/**
 * Says whether a checkpoint is signed by the key that was in force at its size: never by a later
 * one (CVE-2023-31439: journald accepted old entries sealed with a newer key).
 */
export function judgeCheckpoint(
  { note, size }: SignedCheckpoint,
  epochs: KeyEpochs,
): SignatureVerdict {
  const { signers, hasBadSignature } = checkNote(note, epochs.keys);
  if (hasBadSignature) return 'bad_signature';
  const required = epochs.keyFor(size);
  if (required === null) return 'before_pinned_key';
  if (signers.includes(required)) return 'signed';
  return signers.length > 0 ? 'wrong_epoch' : 'untrusted_key';
}

function parseKey(vkey: string): VerifierKey | null {
  try {
    return parseVerifierKey(vkey);
  } catch {
    return null; // UNTRUSTED: a header can name anything
  }
}
