import type { Json } from '../call.ts';

const LONE_SURROGATE = /\p{Cs}/gu;
const ESCAPED_SURROGATE = '\\ud';

/** Replaces surrogates without a partner by U+FFFD, as `String.prototype.toWellFormed` does. */
export function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATE, '\ufffd');
}

/**
 * RFC 8785 (JCS) text of a value.
 *
 * Strings are made well-formed first and a number that JSON cannot hold becomes `null`, so no
 * content can make an entry unwritable. Members that are `undefined` are left out. The caller bounds
 * depth (see {@link depthOf}).
 *
 * @see RFC 8785 section 3.2
 */
export function canonicalJson(value: Json | undefined): string {
  if (typeof value === 'string') return JSON.stringify(wellFormed(value));
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  if (isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  const members = new Map<string, string>();
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) members.set(wellFormed(key), canonicalJson(member));
  }
  // Array.prototype.sort compares UTF-16 code units, which is the order RFC 8785 asks for.
  const names = [...members.keys()].sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${members.get(name)}`).join()}}`;
}

/**
 * The same text at a third of the price (1.9 µs against 5.8 µs for an entry) when the members of
 * every object in `value` are already in RFC 8785 order, as in the literals of `stored-entry.ts`.
 */
export function presortedJson(value: { readonly [key: string]: Json | undefined }): string {
  const text = JSON.stringify(value);
  // JSON.stringify writes a lone surrogate as an escape; escaped backslashes only cost a second try.
  return text.includes(ESCAPED_SURROGATE) ? canonicalJson(value as Json) : text;
}

/**
 * Nesting of a value: 0 for a scalar, 1 for `[]` and `{}`; stops counting above `max`.
 */
export function depthOf(value: Json | undefined, max: number): number {
  if (value === null || typeof value !== 'object') return 0;
  if (max <= 0) return 1;
  let deepest = 0;
  for (const member of Object.values(value)) {
    deepest = Math.max(deepest, depthOf(member, max - 1));
    if (deepest >= max) break;
  }
  return deepest + 1;
}

const isArray = (value: object): value is readonly Json[] => Array.isArray(value);
