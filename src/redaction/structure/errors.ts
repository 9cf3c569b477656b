import { copyProperty, KeyNames } from './objects.ts';
import type { Place, Walk } from './walk.ts';

const SPECIAL = ['message', 'stack', 'cause', 'errors'] as const;

/** A redacted copy of an error: of its class, with message, stack, cause, `errors` and the rest. */
export function copyError(walk: Walk, error: Error, place: Place): Error {
  const copy = new Error();
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  walk.copies.set(error, copy);
  const record = error as unknown as Record<string, unknown>;
  const names = new KeyNames();
  for (const key of SPECIAL) {
    if (!(key in error)) continue;
    const value = walk.value(record[key], walk.below(place, key));
    Object.defineProperty(copy, key, { value, writable: true, configurable: true });
  }
  for (const key of Object.keys(error)) {
    if ((SPECIAL as readonly string[]).includes(key)) continue;
    copyProperty(walk, copy, { key, value: record[key], names }, place);
  }
  return copy;
}
