import { expect, test } from 'vitest';
import { EMPTY_ROOT, Frontier, hashLeaf, hashNode } from '../../src/audit/merkle-tree.ts';
import { vectors } from './vectors.ts';

interface ReferenceTree {
  readonly leafInputsHex: readonly string[];
  readonly leafHashesHex: readonly string[];
  readonly level1: readonly string[];
  readonly level2: readonly string[];
  readonly level3: readonly string[];
  readonly rootsBySizeHex: readonly string[];
}

const tree = vectors<ReferenceTree>('ct-reference-tree');
const hex = (text: string) => Buffer.from(text, 'hex');

test('leaf hashes are those of Certificate Transparency', () => {
  expect(tree.leafInputsHex.map((leaf) => hashLeaf(hex(leaf)).toString('hex'))).toEqual(
    tree.leafHashesHex,
  );
});

test('inner nodes are those of Certificate Transparency', () => {
  const levels = [tree.leafHashesHex, tree.level1, tree.level2, tree.level3];
  for (const [index, level] of levels.slice(1).entries()) {
    const below = levels[index] as readonly string[];
    const nodes = level.map((_, i) =>
      hashNode(hex(below[2 * i] as string), hex(below[2 * i + 1] as string)),
    );
    expect(nodes.map((node) => node.toString('hex'))).toEqual(level);
  }
});

test('roots of all sizes are those of Certificate Transparency', () => {
  const frontier = Frontier.empty();
  const roots = [frontier.root().toString('hex')];
  for (const leaf of tree.leafHashesHex) {
    frontier.add(hex(leaf));
    roots.push(frontier.root().toString('hex'));
  }
  expect(roots).toEqual(tree.rootsBySizeHex);
  expect(roots[0]).toBe(EMPTY_ROOT);
});

test('a frontier restored from its nodes goes on to the same root', () => {
  const whole = Frontier.empty();
  for (let size = 0; size < 40; size += 1) {
    const restored = Frontier.of(size, whole.nodes);
    expect(restored?.root()).toEqual(whole.root());
    const leaf = hashLeaf(Buffer.from(`${size}`));
    whole.add(leaf);
    restored?.add(leaf);
    expect(restored?.root()).toEqual(whole.root());
  }
});

test('refuses a frontier whose nodes do not fit its size', () => {
  expect(Frontier.of(3, [hashLeaf(Buffer.of(1))])).toBeNull();
  expect(Frontier.of(2 ** 40, [])).toBeNull();
});

test('counts sizes beyond 32 bits', () => {
  const node = hashLeaf(Buffer.of(1));
  expect(Frontier.of(2 ** 40 + 1, [node, node])?.size).toBe(2 ** 40 + 1);
});
