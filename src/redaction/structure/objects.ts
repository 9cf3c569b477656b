import { hintOf } from './hint.ts';
import type { Place, Walk } from './walk.ts';

/** A redacted copy of an array, with its holes and its named properties. */
export function copyArray(walk: Walk, array: readonly unknown[], place: Place): unknown[] {
  const copy: unknown[] = [];
  walk.copies.set(array, copy);
  const { length } = array;
  const names = new KeyNames();
  for (const key of Object.keys(array)) {
    const index = Number(key);
    const value = (array as unknown as Record<string, unknown>)[key];
    if (Number.isInteger(index)) copy[index] = walk.value(value, walk.below(place, index));
    else copyProperty(walk, copy, { key, value, names }, place);
  }
  if (copy.length < length) copy.length = length;
  return copy;
}

/**
 * A redacted copy of any other object: a plain object with its own and inherited enumerable
 * properties, string and symbol keys. Objects with `toJSON` are what that returns; inherited
 * methods are left out.
 */
export function copyObject(walk: Walk, value: object, place: Place): unknown {
  const record = value as Record<PropertyKey, unknown> & { readonly toJSON?: unknown };
  const toJson = record.toJSON;
  if (typeof toJson === 'function') {
    return walk.value(toJson.call(value), { ...place, depth: place.depth + 1 });
  }
  const copy: object = Object.getPrototypeOf(value) === null ? Object.create(null) : {};
  walk.copies.set(value, copy);
  const names = new KeyNames();
  // Inherited properties are part of what a reader of the value sees.
  for (const key in record) {
    const property = key === 'toJSON' ? toJson : record[key];
    if (typeof property === 'function' && !Object.hasOwn(value, key)) continue;
    copyProperty(walk, copy, { key, value: property, names }, place);
  }
  for (const key of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, key)) {
      copySymbolProperty(walk, copy, key, record[key], place);
    }
  }
  return copy;
}

interface Property {
  readonly key: string;
  readonly value: unknown;
  readonly names: KeyNames;
}

/** Redacts key and value. */
export function copyProperty(walk: Walk, copy: object, property: Property, place: Place): void {
  const name = property.names.unused(walk.text(property.key, { ...place, hint: '' }));
  const below = walk.below(place, name, hintOf(property.key));
  define(copy, name, walk.value(property.value, below));
}

function copySymbolProperty(
  walk: Walk,
  copy: object,
  key: symbol,
  value: unknown,
  place: Place,
): void {
  const name = walk.value(key, { ...place, hint: '' }) as symbol;
  const hint = hintOf(key.description ?? '');
  define(copy, name, walk.value(value, walk.below(place, name.description ?? '', hint)));
}

/** A redacted copy of a Map; string keys are hints for their values. */
export function copyMap(
  walk: Walk,
  map: ReadonlyMap<unknown, unknown>,
  place: Place,
): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>();
  walk.copies.set(map, copy);
  const names = new KeyNames();
  for (const [key, value] of Map.prototype.entries.call(map)) {
    const redacted = walk.value(key, { ...place, hint: '' });
    const name = typeof redacted === 'string' ? names.unused(redacted) : redacted;
    const hint = typeof key === 'string' ? hintOf(key) : '';
    const below = walk.below(place, typeof name === 'string' ? name : copy.size, hint);
    copy.set(name, walk.value(value, below));
  }
  return copy;
}

/** A redacted copy of a Set. Members that become equal stay one member. */
export function copySet(walk: Walk, set: ReadonlySet<unknown>, place: Place): Set<unknown> {
  const copy = new Set<unknown>();
  walk.copies.set(set, copy);
  let index = 0;
  for (const member of Set.prototype.values.call(set)) {
    copy.add(walk.value(member, walk.below(place, index)));
    index += 1;
  }
  return copy;
}

/** Keeps keys apart that redaction made equal: `<EMAIL>`, `<EMAIL>#2`, … */
export class KeyNames {
  readonly #uses = new Map<string, number>();

  unused(name: string): string {
    let candidate = name;
    while (this.#uses.has(candidate)) {
      const uses = (this.#uses.get(name) ?? 1) + 1;
      this.#uses.set(name, uses);
      candidate = `${name}#${uses}`;
    }
    this.#uses.set(candidate, 1);
    return candidate;
  }
}

/** Not an assignment: `__proto__` is a key like any other here. */
function define(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
