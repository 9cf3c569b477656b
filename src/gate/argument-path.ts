import type { Json } from '../call.ts';

/** The value at `args.items[0].amount`; undefined where there is none. Own keys only. */
export function valueAt(args: Json, path: string): Json | undefined {
  let value: Json | undefined = args;
  for (const [, name, index] of path.matchAll(/\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]/g)) {
    const key = name ?? Number(index);
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string | number, Json>>)[key];
  }
  return value;
}
