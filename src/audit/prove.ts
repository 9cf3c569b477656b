import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditError } from '../errors.ts';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { CHECKPOINT_NAME } from './checkpoint-files.ts';
import type { Frontier } from './merkle-tree.ts';
import { consistencyRanges, inclusionRanges, type LeafRange } from './proof.ts';
import { readTrailLines } from './read.ts';
import { hashStoredLine, splitLine } from './sealed-line.ts';
import { parseSegmentHeader } from './segment-header.ts';
import { SubtreeCollector } from './subtree-collector.ts';
import { formatTlogProof } from './tlog-proof.ts';
import { formatConsistencyProof } from './witness-request.ts';

/** A proof that one entry is in a trail; it shows nothing of the others. */
export interface EntryProof {
  /** The entry as it is stored, without its line feed. */
  readonly line: string;
  /** Text of a C2SP tlog-proof file. */
  readonly proof: string;
}

/**
 * Proves that entry `seq` is in the trail whose newest checkpoint is signed.
 *
 * @param path - directory of the trail
 * @throws {AuditError} `ENF_AUDIT_PROOF` when there is no checkpoint over the entry, the entry was
 *   removed, or the trail is not the one that the checkpoint covers; `ENF_AUDIT_READ` when it cannot
 *   be read
 */
export async function proveEntry(path: string, seq: number): Promise<EntryProof> {
  const checkpoint = await readCheckpoint(path);
  if (!Number.isSafeInteger(seq) || seq < 0 || seq >= checkpoint.size) {
    throw proofError(`the checkpoint covers entries 0 to ${checkpoint.size - 1}, got ${seq}`);
  }
  const { hashes, line } = await collect(
    path,
    checkpoint,
    inclusionRanges(seq, checkpoint.size),
    seq,
  );
  if (line === null) throw proofError(`entry ${seq} was removed`);
  const proof = formatTlogProof({ index: seq, path: hashes, checkpoint: checkpoint.source });
  return { line, proof };
}

/**
 * Proves that a trail of `oldSize` entries is the beginning of the trail as it is signed now.
 *
 * @returns body of a C2SP tlog-witness add-checkpoint request: old size, hashes, newest checkpoint
 * @throws {AuditError} `ENF_AUDIT_PROOF` and `ENF_AUDIT_READ` as {@link proveEntry}
 */
export async function proveConsistency(path: string, oldSize: number): Promise<string> {
  const checkpoint = await readCheckpoint(path);
  if (!Number.isSafeInteger(oldSize) || oldSize < 1 || oldSize > checkpoint.size) {
    throw proofError(`the old size must be 1 to ${checkpoint.size}, got ${oldSize}`);
  }
  const ranges = consistencyRanges(oldSize, checkpoint.size);
  const { hashes } = await collect(path, checkpoint, ranges, null);
  return formatConsistencyProof({ oldSize, hashes, checkpoint: checkpoint.source });
}

async function readCheckpoint(path: string): Promise<SignedCheckpoint> {
  const source = await readFile(join(path, CHECKPOINT_NAME)).catch((error: unknown) => {
    throw proofError('the trail has no checkpoint', error);
  });
  const checkpoint = parseCheckpoint(source);
  if (checkpoint === null) throw proofError('the checkpoint of the trail is malformed');
  return checkpoint;
}

interface Collected {
  readonly hashes: readonly Buffer[];
  readonly line: string | null;
}

async function collect(
  path: string,
  checkpoint: SignedCheckpoint,
  ranges: readonly LeafRange[],
  seq: number | null,
): Promise<Collected> {
  const collector = new SubtreeCollector(ranges);
  let tree: Frontier | null = null;
  let line: string | null = null;
  for await (const { line: place } of readTrailLines(path)) {
    const { bytes, start, end, isWhole } = place;
    if (!isWhole || splitLine(bytes, start, end) === null) continue;
    if (tree === null) {
      tree = startTree(bytes.toString('utf8', start, end));
      collector.startAt(tree);
    }
    if (tree.size === checkpoint.size) break;
    if (tree.size === seq) line = bytes.toString('utf8', start, end);
    const leafHash = Buffer.from(hashStoredLine(bytes, start, end), 'hex');
    collector.add(tree.size, leafHash);
    tree.add(leafHash);
  }
  if (tree === null || !tree.root().equals(checkpoint.root)) {
    throw proofError('the trail is not the one that its checkpoint covers');
  }
  return { hashes: collector.roots(), line };
}

function startTree(firstLine: string): Frontier {
  const header = parseSegmentHeader(firstLine);
  if (header === null) throw proofError('the first segment has no header');
  return header.frontier.clone();
}

function proofError(what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_PROOF', `no proof: ${what}`, { cause });
}
