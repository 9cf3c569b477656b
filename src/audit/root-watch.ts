import type { Frontier } from './merkle-tree.ts';

/** Remembers the roots of a tree at the sizes that checkpoints name, while the tree grows. */
export class RootWatch {
  readonly #wanted: ReadonlySet<number>;
  readonly #sizes: readonly number[];
  readonly #roots = new Map<number, Buffer>();
  #next = 0;

  /** @param sizes - in any order, with repetitions */
  constructor(sizes: Iterable<number>) {
    this.#wanted = new Set(sizes);
    this.#sizes = [...this.#wanted].sort((a, b) => a - b);
  }

  /** Is told of the tree after every leaf, and of the tree it starts from. */
  note(tree: Frontier): void {
    while ((this.#sizes[this.#next] ?? Number.POSITIVE_INFINITY) < tree.size) this.#next += 1;
    if (this.#sizes[this.#next] === tree.size) this.#roots.set(tree.size, tree.root());
  }

  /** False for a size that was not asked for. */
  isWatched(size: number): boolean {
    return this.#wanted.has(size);
  }

  /** Undefined when the tree never had this size. */
  rootAt(size: number): Buffer | undefined {
    return this.#roots.get(size);
  }
}
