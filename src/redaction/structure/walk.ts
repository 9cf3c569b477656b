import { types } from 'node:util';
import { EnforceError, isEnforceError } from '../../errors.ts';
import type { Finding } from '../finding.ts';
import { type ArgumentKind, replaceFindings } from '../replacement.ts';
import { redactBytes } from './bytes.ts';
import { copyError } from './errors.ts';
import { copyArray, copyMap, copyObject, copySet } from './objects.ts';

/** Deeper than any argument or result may be; the walk refuses what is below. */
const DEPTH_MAX = 256;
/** Values in one structure, keys included. */
const VALUES_MAX = 1_000_000;
/** Numbers of fewer digits are no card, phone or social security number. */
const SMALL = 1_000_000;
/** UTF-16 units in all strings of one structure. */
const CHARACTERS_MAX = 64 * 1024 * 1024;

/** Where a value stands. */
export interface Place {
  /** `args.items[0].name`; keys in it are already redacted. */
  readonly path: string;
  /** Words of the keys above, lower case. */
  readonly hint: string;
  readonly kind: ArgumentKind;
  readonly isExempt: boolean;
  readonly depth: number;
}

/** What was found where. Never the text itself. */
export interface Entity extends Finding {
  readonly path: string;
}

/** What a walk needs from its caller. */
export interface WalkOptions {
  readonly find: (text: string, place: Place) => Finding[];
  /** Some pattern may match numbers of less than seven digits. */
  readonly readsSmallNumbers: boolean;
  /** What takes the place of a match. */
  readonly replace: (finding: Finding, matched: string, place: Place) => string;
  /** Place of the child at `path` below `parent`. */
  readonly placeOf: (parent: Place, path: string, hint: string) => Place;
}

/** One walk over one structure: its budget, and the copies made so far, for cycles. */
export class Walk {
  readonly entities: Entity[] = [];
  readonly copies: Map<object, unknown> = new Map();
  readonly #options: WalkOptions;
  #values = 0;
  #characters = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /**
   * A redacted copy of a value; the original is read once and never changed.
   *
   * @throws {EnforceError} `ENF_REDACTION_DEPTH`, `ENF_REDACTION_SIZE` beyond the bounds,
   *   `ENF_REDACTION_UNREADABLE` for what cannot be read as data
   */
  value(value: unknown, place: Place): unknown {
    this.#spend(place);
    switch (typeof value) {
      case 'string':
        return this.text(value, place);
      case 'number':
      case 'bigint':
        return this.#number(value, place);
      case 'symbol':
        return this.#symbol(value, place);
      case 'function':
        throw unreadable(place, 'a function');
      case 'object':
        return value === null ? null : this.#object(value, place);
      default:
        return value;
    }
  }

  /** Redacts one string and notes what was found. */
  text(text: string, place: Place): string {
    this.#characters += text.length;
    if (this.#characters > CHARACTERS_MAX) throw tooLarge(place);
    const findings = this.find(text, place);
    for (const finding of findings) this.note(finding, place);
    return replaceFindings(text, findings, (finding, matched) =>
      this.replace(finding, matched, place),
    );
  }

  find(text: string, place: Place): Finding[] {
    return this.#options.find(text, place);
  }

  replace(finding: Finding, matched: string, place: Place): string {
    return this.#options.replace(finding, matched, place);
  }

  note({ category, start, end }: Finding, place: Place): void {
    this.entities.push({ category, start, end, path: place.path });
  }

  /** Refuses a list before it is read, when its members alone are too many. */
  expect(count: number, place: Place): void {
    if (this.#values + count > VALUES_MAX) throw tooLarge(place);
  }

  /** Place of the property `key` of the value at `parent`; `key` is already redacted. */
  below(parent: Place, key: string | number, hint = ''): Place {
    const path = typeof key === 'number' ? `${parent.path}[${key}]` : joinPath(parent.path, key);
    const place = this.#options.placeOf(parent, path, hint === '' ? parent.hint : hint);
    return place;
  }

  #spend(place: Place): void {
    this.#values += 1;
    if (this.#values > VALUES_MAX) throw tooLarge(place);
    if (place.depth > DEPTH_MAX) {
      throw new EnforceError(
        'ENF_REDACTION_DEPTH',
        `the value is nested deeper than ${DEPTH_MAX} levels, which redaction does not follow`,
        { details: { depthMax: DEPTH_MAX } },
      );
    }
  }

  #number(value: number | bigint, place: Place): unknown {
    const isSmall = value < SMALL && value > -SMALL;
    if (isSmall && !this.#options.readsSmallNumbers) return value;
    const text = String(value);
    const redacted = this.text(text, place);
    return redacted === text ? value : redacted;
  }

  #symbol(value: symbol, place: Place): symbol {
    const text = value.description ?? '';
    const redacted = this.text(text, place);
    return redacted === text ? value : Symbol(redacted);
  }

  #object(value: object, place: Place): unknown {
    const known = this.copies.get(value);
    if (known !== undefined) return known;
    try {
      return copyOf(this, value, place);
    } catch (error) {
      if (isEnforceError(error)) throw error;
      if (error instanceof RangeError) throw tooLarge(place);
      // UNTRUSTED: thrown by a getter or proxy of the value; its message may hold anything.
      throw unreadable(place, 'an object that throws when it is read');
    }
  }
}

function copyOf(walk: Walk, value: object, place: Place): unknown {
  if (Array.isArray(value)) return copyArray(walk, value, place);
  if (types.isDate(value)) return new Date(value.getTime());
  if (types.isNativeError(value)) return copyError(walk, value, place);
  if (types.isMap(value)) return copyMap(walk, value, place);
  if (types.isSet(value)) return copySet(walk, value, place);
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) {
    return redactBytes(walk, value, place);
  }
  if (types.isBoxedPrimitive(value)) return walk.value(value.valueOf(), place);
  if (types.isRegExp(value)) return copyRegExp(walk, value, place);
  if (value instanceof URL) return copyUrl(walk, value, place);
  if (value instanceof URLSearchParams) {
    return new URLSearchParams(walk.text(String(value), { ...place, kind: 'url' }));
  }
  if (isOpaque(value)) throw unreadable(place, 'an object whose content cannot be read as data');
  return copyObject(walk, value, place);
}

function copyRegExp(walk: Walk, value: RegExp, place: Place): RegExp | string {
  const { source, flags } = value;
  const redacted = walk.text(source, place);
  return redacted === source ? new RegExp(source, flags) : redacted;
}

function copyUrl(walk: Walk, url: URL, place: Place): URL | string {
  const href = walk.text(url.href, { ...place, kind: 'url' });
  return URL.canParse(href) ? new URL(href) : href;
}

/** Promises, generators, streams, weak collections, iterators: reading them would change them. */
function isOpaque(value: object): boolean {
  if (types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value)) return true;
  if (types.isExternal(value) || types.isModuleNamespaceObject(value)) return true;
  if (value instanceof WeakRef || value instanceof Blob) return true;
  return Symbol.iterator in value || Symbol.asyncIterator in value;
}

function joinPath(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`;
}

/** The error for a value that is not data; names the place, never the content. */
export function unreadable(place: Place, what: string): EnforceError {
  return new EnforceError(
    'ENF_REDACTION_UNREADABLE',
    `\`${place.path || 'the value'}\` is ${what}; redaction refuses what it cannot read`,
    { details: { path: place.path } },
  );
}

function tooLarge(place: Place): EnforceError {
  return new EnforceError(
    'ENF_REDACTION_SIZE',
    `\`${place.path || 'the value'}\` is beyond ${VALUES_MAX} values or ${CHARACTERS_MAX} characters`,
    { details: { valuesMax: VALUES_MAX, charactersMax: CHARACTERS_MAX } },
  );
}
