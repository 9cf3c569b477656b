import { resolve } from 'node:path';
import { idleRules } from './idle-rules.ts';
import { type LoadPolicyOptions, loadPolicy, locate } from './load-policy.ts';
import { mergeDocuments } from './merge-documents.ts';
import { type Link, readChain } from './policy-chain.ts';
import type { PolicyDocument } from './policy-document.ts';
import type { Problem } from './problem.ts';
import { limitWidenings, wideningsOf } from './widenings.ts';

/** Something in a valid policy that its author would want to know. */
export interface PolicyWarning extends Omit<Problem, 'code' | 'suggestion'> {
  readonly code: 'idle-rule' | 'loosens';
}

/**
 * What a valid policy says to no effect, and where it loosens a policy that it extends.
 *
 * @throws {PolicyError} as `loadPolicy` does
 */
export async function lintPolicy(
  source: string | object,
  options: LoadPolicyOptions = {},
): Promise<readonly PolicyWarning[]> {
  const { document } = await loadPolicy(source, options);
  const { links } = await readChain(source, resolve(options.cwd ?? '.'));
  const idle = idleRules(document).map(({ path, message }) => {
    const { link, own } = writerOf(links, document, path);
    return warning(link === undefined ? links : [link], 'idle-rule', { path: own, message });
  });
  return [...idle, ...loosened(links)];
}

/** The last policy of the chain that wrote what stands at a path of the merged one. */
function writerOf(
  links: readonly Link[],
  merged: PolicyDocument,
  path: readonly PropertyKey[],
): { readonly link: Link | undefined; readonly own: readonly PropertyKey[] } {
  for (const link of links.toReversed()) {
    const own = pathIn(link.document, merged, path);
    if (own !== null) return { link, own };
  }
  return { link: undefined, own: path };
}

/** Merging moves the entries of lists: they are found by what they say, not by their index. */
function pathIn(own: unknown, merged: unknown, path: readonly PropertyKey[]): PropertyKey[] | null {
  const [key, ...rest] = path;
  if (key === undefined) return [];
  const wanted = valueAt(merged, key);
  const same = (value: unknown): boolean => JSON.stringify(value) === JSON.stringify(wanted);
  const place = Array.isArray(own) ? own.findIndex(same) : key;
  const value = valueAt(own, place);
  if (value === undefined) return null;
  const below = pathIn(value, wanted, rest);
  return below === null ? null : [place, ...below];
}

function valueAt(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<PropertyKey, unknown>>)[key];
}

/** Limits are left out: they only tighten down a chain, and a looser one has no effect. */
function loosened(links: readonly Link[]): PolicyWarning[] {
  const [first, ...rest] = links;
  if (first === undefined) return [];
  let base = first.document;
  return rest.flatMap((link) => {
    const limits = limitWidenings(base, link.document).map(({ path }) => path.join('.'));
    const found = wideningsOf(base, link.document)
      .filter(({ path }) => !limits.includes(path.join('.')))
      .map(({ path, message }) => ({ path, message: `loosens \`${base.name}\`: ${message}` }));
    base = mergeDocuments(base, link.document, 'merge');
    return found.map((each) => warning([link], 'loosens', each));
  });
}

function warning(
  links: readonly Link[],
  code: PolicyWarning['code'],
  { path, message }: { readonly path: readonly PropertyKey[]; readonly message: string },
): PolicyWarning {
  const { code: _, ...place } = locate(links, { path, code: 'conflict', message });
  return { ...place, code };
}
