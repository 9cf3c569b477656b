import { AuditError } from '../errors.ts';
import { Frontier } from './merkle-tree.ts';
import type { LeafRange } from './proof.ts';

interface Subtree extends LeafRange {
  readonly tree: Frontier;
}

/** Computes the roots of disjoint subtrees while the leaves stream by, in memory of their number. */
export class SubtreeCollector {
  readonly #subtrees: readonly Subtree[];
  readonly #inOrder: readonly Subtree[];
  #current = 0;

  constructor(ranges: readonly LeafRange[]) {
    this.#subtrees = ranges.map((range) => ({ ...range, tree: Frontier.empty() }));
    this.#inOrder = [...this.#subtrees].sort((a, b) => a.start - b.start);
  }

  /**
   * Begins with leaves that are no longer there, of which only the frontier is known.
   *
   * @throws {AuditError} `ENF_AUDIT_PROOF` when the proof needs the inside of a removed subtree
   */
  startAt({ size, nodes }: Frontier): void {
    let start = 0;
    for (const node of nodes) {
      const leaves = largestPowerOfTwo(size - start);
      this.#addSubtree(node, start, leaves);
      start += leaves;
    }
  }

  /** Takes the leaf hash with this index; indices ascend. */
  add(index: number, leafHash: Buffer): void {
    while (this.#at(this.#current).end <= index) this.#current += 1;
    const subtree = this.#at(this.#current);
    if (subtree.start <= index) subtree.tree.add(leafHash);
  }

  /** Roots in the order of the ranges. */
  roots(): Buffer[] {
    return this.#subtrees.map(({ start, end, tree }) => {
      if (tree.size !== end - start) throw proofError('the trail ends before the checkpoint');
      return tree.root();
    });
  }

  #addSubtree(node: Buffer, start: number, leaves: number): void {
    const end = start + leaves;
    for (const subtree of this.#inOrder) {
      if (subtree.end <= start || subtree.start >= end) continue;
      if (subtree.start > start || subtree.end < end) {
        throw proofError('the proof needs entries that were removed');
      }
      subtree.tree.addSubtree(node, leaves);
    }
  }

  #at(index: number): Subtree {
    return this.#inOrder[index] ?? NOTHING;
  }
}

/** Behind the last subtree. */
const NOTHING: Subtree = {
  start: Number.POSITIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
  tree: Frontier.empty(),
};

function largestPowerOfTwo(size: number): number {
  let power = 1;
  while (power * 2 <= size) power *= 2;
  return power;
}

function proofError(what: string): AuditError {
  return new AuditError('ENF_AUDIT_PROOF', `no proof: ${what}`);
}
