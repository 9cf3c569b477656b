import { AuditError } from '../errors.ts';
import { HASH_BYTES, hashNode } from './merkle-tree.ts';

/** "Leaf `index` with `leafHash` is in the tree of `size` leaves." */
export interface InclusionClaim {
  /** 0-based, 0 <= index < size. */
  readonly index: number;
  /** At most 2^53 - 1. */
  readonly size: number;
  readonly leafHash: Uint8Array;
  /** Sibling hashes, leaf to root, 32 bytes each. */
  readonly proof: readonly Uint8Array[];
}

/** "The tree of `size1` leaves with `root1` is the beginning of the tree of `size2` leaves." */
export interface ConsistencyClaim {
  /** 1 <= size1 <= size2: a proof from the empty tree says nothing and is refused. */
  readonly size1: number;
  readonly size2: number;
  readonly root1: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Leaves `start` to `end`, end exclusive: one subtree whose root a proof needs. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Root hash of the tree whose leaf `index` is `leafHash`; the claim holds when it is the root that a
 * checkpoint states.
 *
 * @throws {AuditError} `ENF_AUDIT_PROOF` when the proof does not have the form for (index, size)
 * @see RFC 9162 section 2.1.3.2
 */
export function rootFromInclusionProof({ index, size, leafHash, proof }: InclusionClaim): Buffer {
  if (!isSize(size) || !isSize(index) || index >= size) throw malformed('index and size');
  checkHashes([leafHash, ...proof]);
  let fn = index;
  let sn = size - 1;
  let root: Uint8Array = leafHash;
  for (const sibling of proof) {
    if (sn === 0) throw malformed('length');
    if (isOdd(fn) || fn === sn) {
      root = hashNode(sibling, root);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      root = hashNode(root, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw malformed('length');
  return Buffer.from(root);
}

/**
 * Root hash of the larger tree, if `root1` is the root of its beginning.
 *
 * @throws {AuditError} `ENF_AUDIT_PROOF` when the proof does not have the form for the sizes, or
 *   does not lead to `root1`
 * @see RFC 9162 section 2.1.4.2
 */
export function rootFromConsistencyProof(claim: ConsistencyClaim): Buffer {
  const { size1, size2, root1, proof } = claim;
  if (!isSize(size1) || !isSize(size2) || size1 < 1 || size1 > size2) throw malformed('sizes');
  if (size1 === size2) {
    if (proof.length > 0) throw malformed('length');
    return Buffer.from(root1);
  }
  checkHashes([root1, ...proof]);
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : proof;
  return climb(path, claim);
}

function climb(path: readonly Uint8Array[], { size1, size2, root1 }: ConsistencyClaim): Buffer {
  const [first, ...rest] = path;
  if (first === undefined || rest.length === 0) throw malformed('length');
  let fn = size1 - 1;
  let sn = size2 - 1;
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  let older = first;
  let newer = first;
  for (const hash of rest) {
    if (sn === 0) throw malformed('length');
    if (isOdd(fn) || fn === sn) {
      older = hashNode(hash, older);
      newer = hashNode(hash, newer);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      newer = hashNode(newer, hash);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw malformed('length');
  if (!Buffer.from(older).equals(root1)) throw malformed('root of the smaller tree');
  return Buffer.from(newer);
}

/**
 * Subtrees whose roots are the inclusion proof of a leaf, leaf to root.
 *
 * @see RFC 9162 section 2.1.3.1
 */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!isSize(size) || !isSize(index) || index >= size) throw malformed('index and size');
  const ranges: LeafRange[] = [];
  for (let start = 0, end = size; end - start > 1; ) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.reverse();
}

/**
 * Subtrees whose roots are the consistency proof between two sizes.
 *
 * @see RFC 9162 section 2.1.4.1
 */
export function consistencyRanges(size1: number, size2: number): LeafRange[] {
  if (!isSize(size1) || !isSize(size2) || size1 < 1 || size1 > size2) throw malformed('sizes');
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = size2;
  while (end !== size1) {
    const middle = start + splitPoint(end - start);
    if (size1 <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // A beginning that is one subtree of the larger tree is known to the verifier: it is its root.
  if (start > 0) ranges.push({ start, end });
  return ranges.reverse();
}

/** Largest power of two below `size`, for a size of at least 2. */
function splitPoint(size: number): number {
  let point = 1;
  while (point * 2 < size) point *= 2;
  return point;
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const isOdd = (value: number): boolean => value % 2 === 1;
/** Sizes go beyond the 32 bits of the shift operators. */
const half = (value: number): number => Math.floor(value / 2);
const isPowerOfTwo = (value: number): boolean => Number.isInteger(Math.log2(value));

function checkHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw malformed('hashes');
}

function malformed(what: string): AuditError {
  return new AuditError('ENF_AUDIT_PROOF', `the proof does not fit its claim: ${what}`);
}
