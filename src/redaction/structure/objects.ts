import { hintOf } from './hint.ts';
import { type Piece, redactSplitValues } from './split-values.ts';
import type { Place, Walk } from './walk.ts';

/** A redacted copy of an array, with its holes and its named properties. */
export function copyArray(walk: Walk, array: readonly unknown[], place: Place): unknown[] {
  const copy: unknown[] = [];
  walk.copies.set(array, copy);
  const { length } = array;
  const names = new KeyNames();
  const pieces: Piece[] = [];
  const keys = Object.keys(array);
  walk.expect(keys.length, place);
  for (const key of keys) {
    const index = Number(key);
    const value = (array as unknown as Record<string, unknown>)[key];
    if (!Number.isInteger(index)) copyProperty(walk, copy, { key, value, names }, place);
    else {
      const below = walk.below(place, index);
      copy[index] = walk.value(value, below);
      addPiece(pieces, index, value, copy[index], below);
    }
  }
  for (const [index, text] of redactSplitValues(walk, pieces)) copy[index as number] = text;
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
  copyProperties(walk, copy, propertiesOf(value, record, toJson), place);
  for (const key of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, key)) {
      copySymbolProperty(walk, copy, key, record[key], place);
    }
  }
  return copy;
}

/** Own and inherited enumerable properties, each read once. */
function propertiesOf(
  value: object,
  record: Readonly<Record<PropertyKey, unknown>>,
  toJson: unknown,
): (readonly [string, unknown])[] {
  const properties: (readonly [string, unknown])[] = [];
  for (const key in record) {
    const property = key === 'toJSON' ? toJson : record[key];
    if (typeof property === 'function' && !Object.hasOwn(value, key)) continue;
    properties.push([key, property]);
  }
  return properties;
}

function copyProperties(
  walk: Walk,
  copy: object,
  properties: readonly (readonly [string, unknown])[],
  place: Place,
): void {
  const names = new KeyNames();
  const label = labelOf(properties);
  const pieces: Piece[] = [];
  for (const [key, value] of properties) {
    const isLabelled = label !== '' && VALUE_KEYS.test(key);
    const property = { key, value, names, ...(isLabelled ? { hint: label } : {}) };
    const { name, redacted, below } = copyProperty(walk, copy, property, place);
    addPiece(pieces, name, value, redacted, below);
  }
  for (const [name, text] of redactSplitValues(walk, pieces)) define(copy, name, text);
}

const LABEL_KEYS = /^(?:name|key|field|label|header|variable|property|param(?:eter)?)$/i;
const VALUE_KEYS = /^(?:value|content|val|data)$/i;

/** `{ name: 'password', value: '…' }`: the name is what explains the value. */
function labelOf(properties: readonly (readonly [string, unknown])[]): string {
  const label = properties.find(([key]) => LABEL_KEYS.test(key))?.[1];
  return typeof label === 'string' ? hintOf(label) : '';
}

function addPiece(
  pieces: Piece[],
  key: string | number,
  original: unknown,
  redacted: unknown,
  place: Place,
): void {
  if (typeof original === 'string' && typeof redacted === 'string') {
    pieces.push({ key, original, redacted, place });
  }
}

interface Property {
  readonly key: string;
  readonly value: unknown;
  readonly names: KeyNames;
  /** Default: the words of the key. */
  readonly hint?: string;
}

interface CopiedProperty {
  readonly name: string;
  readonly redacted: unknown;
  readonly below: Place;
}

/** Redacts key and value. */
export function copyProperty(
  walk: Walk,
  copy: object,
  { key, value, names, hint }: Property,
  place: Place,
): CopiedProperty {
  const name = names.unused(walk.text(key, { ...place, hint: '' }));
  const below = walk.below(place, name, hint ?? hintOf(name));
  const redacted = walk.value(value, below);
  define(copy, name, redacted);
  return { name, redacted, below };
}

function copySymbolProperty(
  walk: Walk,
  copy: object,
  key: symbol,
  value: unknown,
  place: Place,
): void {
  const name = walk.value(key, { ...place, hint: '' }) as symbol;
  const hint = hintOf(name.description ?? '');
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
  walk.expect(map.size, place);
  for (const [key, value] of Map.prototype.entries.call(map)) {
    const redacted = walk.value(key, { ...place, hint: '' });
    const name = typeof redacted === 'string' ? names.unused(redacted) : redacted;
    const hint = typeof name === 'string' ? hintOf(name) : '';
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
