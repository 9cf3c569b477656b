import { AuditError } from '../errors.ts';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { hashLeaf } from './merkle-tree.ts';
import { rootFromConsistencyProof, rootFromInclusionProof } from './proof.ts';
import { SEAL_BYTES, splitLine } from './sealed-line.ts';
import { checkNote } from './signed-note.ts';
import { parseVerifierKey } from './signing-key.ts';
import { parseTlogProof } from './tlog-proof.ts';
import { parseConsistencyProof } from './witness-request.ts';

/** What a proof has proven. */
export interface ProvenTree {
  readonly origin: string;
  readonly size: number;
  /** 64 hex digits. */
  readonly rootHash: string;
}

/**
 * Checks that an entry is in the trail that `key` signs, from the entry, the proof and the key alone.
 *
 * @param claim.line - UNTRUSTED; the stored line, with or without its line feed
 * @param claim.proof - UNTRUSTED; text of a C2SP tlog-proof file
 * @param claim.key - verifier key that was got elsewhere
 * @returns the place of the entry in the tree
 * @throws {AuditError} `ENF_AUDIT_PROOF` when it does not prove it
 */
export function checkEntryProof(claim: {
  readonly line: string;
  readonly proof: string;
  readonly key: string;
}): ProvenTree & { readonly seq: number; readonly entryHash: string } {
  const proof = parseTlogProof(claim.proof);
  if (proof === null) throw proofError('it is no tlog-proof');
  const checkpoint = openCheckpoint(proof.checkpoint, claim.key);
  const leafHash = leafHashOf(claim.line.replace(/\n$/, ''));
  const { index, path } = proof;
  const root = rootFromInclusionProof({ index, size: checkpoint.size, leafHash, proof: path });
  if (!root.equals(checkpoint.root)) throw proofError('it leads to another root');
  return { ...describe(checkpoint), seq: index, entryHash: leafHash.toString('hex') };
}

/**
 * Checks that the trail of an older checkpoint is the beginning of a newer one.
 *
 * @param claim.older - UNTRUSTED; signed checkpoint that was kept
 * @param claim.proof - UNTRUSTED; what `proveConsistency` gave
 * @param claim.key - verifier key of both
 * @returns the newer tree
 * @throws {AuditError} `ENF_AUDIT_PROOF` when it does not prove it
 */
export function checkConsistencyProof(claim: {
  readonly older: string;
  readonly proof: string;
  readonly key: string;
}): ProvenTree {
  const proof = parseConsistencyProof(claim.proof);
  if (proof === null) throw proofError('it is no consistency proof');
  const older = openCheckpoint(claim.older, claim.key);
  const newer = openCheckpoint(proof.checkpoint, claim.key);
  if (older.origin !== newer.origin) throw proofError('the checkpoints are of two trails');
  if (older.size !== proof.oldSize) throw proofError('it begins at another size');
  const root = rootFromConsistencyProof({
    size1: older.size,
    size2: newer.size,
    root1: older.root,
    proof: proof.hashes,
  });
  if (!root.equals(newer.root)) throw proofError('it leads to another root');
  return describe(newer);
}

function openCheckpoint(source: string, key: string): SignedCheckpoint {
  const checkpoint = parseCheckpoint(source);
  if (checkpoint === null) throw proofError('its checkpoint is malformed');
  const { signers, hasBadSignature } = checkNote(checkpoint.note, [parseVerifierKey(key)]);
  if (signers.length === 0 || hasBadSignature)
    throw proofError('the key did not sign its checkpoint');
  return checkpoint;
}

/** The hashed bytes are the line up to its seal; the seal itself must agree with them. */
function leafHashOf(line: string): Buffer {
  const bytes = Buffer.from(line);
  const parts = splitLine(bytes, 0, bytes.length);
  if (parts === null) throw proofError('the line is no entry');
  const content = Buffer.concat([bytes.subarray(0, bytes.length - SEAL_BYTES), Buffer.from('}')]);
  const leafHash = hashLeaf(content);
  if (leafHash.toString('hex') !== parts.entryHash) throw proofError('the line was changed');
  return leafHash;
}

function describe({ origin, size, root }: SignedCheckpoint): ProvenTree {
  return { origin, size, rootHash: root.toString('hex') };
}

function proofError(what: string): AuditError {
  return new AuditError('ENF_AUDIT_PROOF', `not proven: ${what}`);
}
