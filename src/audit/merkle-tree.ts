import { hash } from 'node:crypto';

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;
const NODE_PREFIX = 0x01;
const NODE_BYTES = 1 + 2 * HASH_BYTES;
/** Offsets of the children in the input of a node hash. */
const LEFT = 1;
const RIGHT = 1 + HASH_BYTES;

/** Root of the tree without leaves: the hash of nothing. @see RFC 9162 section 2.1.1 */
export const EMPTY_ROOT: string = hash('sha256', '');

/**
 * Hash of an inner node: SHA-256(0x01 ‖ left ‖ right), each child 32 bytes.
 *
 * @see RFC 9162 section 2.1.1
 */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(NODE_BYTES);
  input[0] = NODE_PREFIX;
  input.set(left, LEFT);
  input.set(right, RIGHT);
  return Buffer.from(hash('sha256', input), 'hex');
}

/** Hash of a leaf: SHA-256(0x00 ‖ data). @see RFC 9162 section 2.1.1 */
export function hashLeaf(data: Uint8Array): Buffer {
  return Buffer.from(hash('sha256', Buffer.concat([Uint8Array.of(0), data])), 'hex');
}

/** Complete subtrees of a tree whose size is a safe integer. */
const LEVELS = 53;

/**
 * The right edge of an RFC 6962 tree: the roots of its complete subtrees, largest first, at most one
 * per bit of the size. All that is needed to add leaves and to know the root.
 */
export class Frontier {
  #size = 0;
  /** Root of the complete subtree of 2^level leaves, for every bit that is set in the size. */
  readonly #roots: Buffer = Buffer.alloc(LEVELS * HASH_BYTES);
  /** Input of the node hash, kept because allocating it cost as much as hashing it. */
  readonly #node: Buffer = Buffer.alloc(NODE_BYTES);

  private constructor() {
    this.#node[0] = NODE_PREFIX;
  }

  /** The tree without leaves. */
  static empty(): Frontier {
    return new Frontier();
  }

  /**
   * The tree of `size` leaves with this right edge.
   *
   * @param nodes - roots of the complete subtrees, largest first
   * @returns null unless there is one node per set bit of `size`
   */
  static of(size: number, nodes: readonly Buffer[]): Frontier | null {
    const levels = setBits(size);
    if (levels.length !== nodes.length) return null;
    const tree = new Frontier();
    for (const [index, level] of levels.entries())
      tree.#roots.set(nodes[index] as Buffer, level * HASH_BYTES);
    tree.#size = size;
    return tree;
  }

  get size(): number {
    return this.#size;
  }

  /** Roots of the complete subtrees, largest first. */
  get nodes(): readonly Buffer[] {
    return setBits(this.#size).map((level) => Buffer.from(this.#rootAt(level)));
  }

  /** Adds one leaf; merges subtrees of equal size, one hash per leaf on average. */
  add(leafHash: Buffer): void {
    this.addSubtree(leafHash, 1);
  }

  /** {@link add} for a hash in 64 hex digits. */
  addHex(leafHash: string): void {
    this.#node.write(leafHash, RIGHT, 'hex');
    this.#carry(0, 1);
  }

  /**
   * Adds the root of a complete subtree.
   *
   * @param leaves - a power of two that divides the size so far
   */
  addSubtree(root: Buffer, leaves: number): void {
    this.#node.set(root, RIGHT);
    this.#carry(Math.log2(leaves), leaves);
  }

  /** Adds what stands in the right half of the node, like a carry in binary addition. */
  #carry(level: number, leaves: number): void {
    let at = level;
    for (let rest = this.#size / leaves; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      copyHash(this.#roots, at * HASH_BYTES, this.#node, LEFT);
      // Measured: 0.46 µs, with a hex string 0.60 µs, with a Buffer straight from `hash` 1.0 µs.
      this.#node.write(hash('sha256', this.#node, 'binary'), RIGHT, 'latin1');
      at += 1;
    }
    copyHash(this.#node, RIGHT, this.#roots, at * HASH_BYTES);
    this.#size += leaves;
  }

  /** Root hash of the tree so far. */
  root(): Buffer {
    const levels = setBits(this.#size);
    const last = levels.pop();
    if (last === undefined) return Buffer.from(EMPTY_ROOT, 'hex');
    return levels.reduceRight<Buffer>(
      (right, level) => hashNode(this.#rootAt(level), right),
      Buffer.from(this.#rootAt(last)),
    );
  }

  /** An independent copy. */
  clone(): Frontier {
    const copy = new Frontier();
    copy.#roots.set(this.#roots);
    copy.#size = this.#size;
    return copy;
  }

  #rootAt(level: number): Buffer {
    return this.#roots.subarray(level * HASH_BYTES, (level + 1) * HASH_BYTES);
  }
}

/** For 32 bytes a loop costs less than a call of `copy`. */
function copyHash(from: Buffer, fromAt: number, to: Buffer, toAt: number): void {
  for (let at = 0; at < HASH_BYTES; at += 1) to[toAt + at] = from[fromAt + at] as number;
}

/** Numbers of the bits that are set, highest first; sizes go beyond 32 bits. */
function setBits(size: number): number[] {
  const bits: number[] = [];
  for (let rest = size, bit = 0; rest > 0; rest = Math.floor(rest / 2), bit += 1) {
    if (rest % 2 === 1) bits.unshift(bit);
  }
  return bits;
}
