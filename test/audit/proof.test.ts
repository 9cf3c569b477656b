import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frontier, hashLeaf } from '../../src/audit/merkle-tree.ts';
import {
  consistencyRanges,
  inclusionRanges,
  type LeafRange,
  rootFromConsistencyProof,
  rootFromInclusionProof,
} from '../../src/audit/proof.ts';
import { base64, vectors } from './vectors.ts';

interface InclusionCase {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly desc: string;
  readonly wantErr: boolean;
  readonly file: string;
}

interface ConsistencyCase {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
  readonly file: string;
}

const inclusion = vectors<{ cases: InclusionCase[] }>('merkle-inclusion').cases;
const consistency = vectors<{ cases: ConsistencyCase[] }>('merkle-consistency').cases;

function isIncluded({ leafIdx, treeSize, root, leafHash, proof }: InclusionCase): boolean {
  const claim = {
    index: leafIdx,
    size: treeSize,
    leafHash: base64(leafHash),
    proof: (proof ?? []).map(base64),
  };
  return rootFromInclusionProof(claim).equals(base64(root));
}

function isConsistent({ size1, size2, root1, root2, proof }: ConsistencyCase): boolean {
  const claim = { size1, size2, root1: base64(root1), proof: (proof ?? []).map(base64) };
  return rootFromConsistencyProof(claim).equals(base64(root2));
}

const holds = (check: () => boolean): boolean => {
  try {
    return check();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENF_AUDIT_PROOF' });
    return false;
  }
};

describe('published inclusion proofs', () => {
  test('are all there', () => expect(inclusion).toHaveLength(98));
  test.each(inclusion)('$file', (vector) => {
    expect(holds(() => isIncluded(vector))).toBe(!vector.wantErr);
  });
});

describe('published consistency proofs', () => {
  test('are all there', () => expect(consistency).toHaveLength(98));
  test.each(consistency)('$file', (vector) => {
    expect(holds(() => isConsistent(vector))).toBe(!vector.wantErr);
  });
});

const leavesOf = (size: number) =>
  Array.from({ length: size }, (_, i) => hashLeaf(Buffer.from(`${i}`)));

function rootOf(leaves: readonly Buffer[], { start, end }: LeafRange): Buffer {
  const frontier = Frontier.empty();
  for (const leaf of leaves.slice(start, end)) frontier.add(leaf);
  return frontier.root();
}

const sizes = fc.integer({ min: 1, max: 150 });

test('every leaf of every tree has a proof that leads to the root', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (size, pick) => {
      const index = pick % size;
      const leaves = leavesOf(size);
      const proof = inclusionRanges(index, size).map((range) => rootOf(leaves, range));
      const claim = { index, size, leafHash: leaves[index] as Buffer, proof };
      expect(rootFromInclusionProof(claim)).toEqual(rootOf(leaves, { start: 0, end: size }));
    }),
  );
});

test('a tree is consistent with each of its beginnings', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (size2, pick) => {
      const size1 = 1 + (pick % size2);
      const leaves = leavesOf(size2);
      const proof = consistencyRanges(size1, size2).map((range) => rootOf(leaves, range));
      const root1 = rootOf(leaves, { start: 0, end: size1 });
      const root2 = rootOf(leaves, { start: 0, end: size2 });
      expect(rootFromConsistencyProof({ size1, size2, root1, proof })).toEqual(root2);
    }),
  );
});

test('no proof survives a flipped bit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), fc.nat(), (size, pick, flip) => {
      const index = pick % size;
      const leaves = leavesOf(size);
      const proof = inclusionRanges(index, size).map((range) => rootOf(leaves, range));
      const bit = flip % (proof.length * 256);
      const hash = proof[Math.floor(bit / 256)] as Buffer;
      hash[Math.floor((bit % 256) / 8)] =
        (hash[Math.floor((bit % 256) / 8)] as number) ^ (1 << (bit % 8));
      const root = rootFromInclusionProof({
        index,
        size,
        leafHash: leaves[index] as Buffer,
        proof,
      });
      expect(root).not.toEqual(rootOf(leaves, { start: 0, end: size }));
    }),
  );
});

test('refuses hashes of the wrong length and sizes that are no sizes', () => {
  const hash = Buffer.alloc(32);
  for (const claim of [
    { index: 0, size: 1, leafHash: Buffer.alloc(31), proof: [] },
    { index: 0, size: 2, leafHash: hash, proof: [Buffer.alloc(33)] },
    { index: -1, size: 2, leafHash: hash, proof: [hash] },
    { index: 0.5, size: 2, leafHash: hash, proof: [hash] },
    { index: 0, size: 2 ** 53, leafHash: hash, proof: [hash] },
  ]) {
    expect(() => rootFromInclusionProof(claim)).toThrow(/does not fit/);
  }
  expect(() => inclusionRanges(2, 2)).toThrow(/does not fit/);
  expect(() => consistencyRanges(0, 2)).toThrow(/does not fit/);
});
