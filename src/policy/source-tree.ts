import type { Json } from '../call.ts';
import { NOWHERE, type Place } from './problem.ts';

/**
 * A policy as it was written: plain data that still knows where each key and value stands.
 * Translation and merging move nodes about; problems found later still point at the right line.
 */
export type SourceNode = SourceMap | SourceList | SourceScalar;

export interface SourceMap {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: readonly SourceEntry[];
}

export interface SourceEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly node: SourceNode;
}

export interface SourceList {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly SourceNode[];
}

export interface SourceScalar {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: string | number | boolean | null;
  /** The characters of the file, for values where `1.0` and `1` differ. */
  readonly text?: string;
}

/** The plain value of a tree. Maps have no prototype, so no key has a special meaning. */
export function toJson(node: SourceNode): Json {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toJson);
  const map: Record<string, Json> = Object.create(null);
  for (const entry of node.entries) map[entry.key] = toJson(entry.node);
  return map;
}

/** The node under a key of a map; undefined for anything else. */
export function childOf(node: SourceNode | undefined, key: PropertyKey): SourceNode | undefined {
  if (node?.kind === 'list' && typeof key === 'number') return node.items[key];
  if (node?.kind === 'map') return node.entries.find((entry) => entry.key === key)?.node;
  return undefined;
}

/**
 * Where a path is written: its key when it is a key of a map, else its value, else the nearest
 * ancestor that exists.
 */
export function placeOf(root: SourceNode, path: readonly PropertyKey[]): Place {
  let node: SourceNode | undefined = root;
  let place = root.place;
  for (const key of path) {
    const entry: SourceEntry | undefined =
      node?.kind === 'map' ? node.entries.find((each) => each.key === key) : undefined;
    node = childOf(node, key);
    if (node === undefined) return place;
    place = entry?.keyPlace ?? node.place;
  }
  return place;
}

/** A tree for data that was never text. */
export function fromJson(value: Json): SourceNode {
  if (typeof value !== 'object' || value === null) return { kind: 'scalar', place: NOWHERE, value };
  if (Array.isArray(value)) {
    return { kind: 'list', place: NOWHERE, items: (value as readonly Json[]).map(fromJson) };
  }
  const entries = Object.entries(value).map(([key, child]) => ({
    key,
    keyPlace: NOWHERE,
    node: fromJson(child),
  }));
  return { kind: 'map', place: NOWHERE, entries };
}

/** True when every key of a path is written. */
export function hasPath(root: SourceNode, path: readonly PropertyKey[]): boolean {
  let node: SourceNode | undefined = root;
  for (const key of path) {
    node = childOf(node, key);
    if (node === undefined) return false;
  }
  return true;
}
