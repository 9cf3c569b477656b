import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { PolicyError } from '../errors.ts';
import { digestOf } from './canonical-json.ts';
import { conflictsOf, notesOf } from './check-document.ts';
import { mergeDocuments } from './merge-documents.ts';
import { type Link, OBJECT, readChain } from './policy-chain.ts';
import type { PolicyDocument } from './policy-document.ts';
import { formatPath, formatProblem, type Problem } from './problem.ts';
import { hasPath, placeOf } from './source-tree.ts';
import { limitWidenings, wideningsOf } from './widenings.ts';

/** A validated policy. Plain data: safe to keep, compare by `digest`, and share. */
export interface Policy {
  readonly name: string;
  readonly version?: string;
  /** SHA-256 (hex) of the canonical JSON of `document`, after merging. */
  readonly digest: string;
  /** Absolute path of the file that was asked for; null for a policy given as a value. */
  readonly file: string | null;
  /** Every file of the chain, absolute, bases first, the asked-for file last. */
  readonly files: readonly string[];
  /** What a reader of the policy should know: stricter meanings, values that had no effect. */
  readonly notes: readonly string[];
  /** Only what the chain really wrote; absent keys mean the values of `policies/default.yaml`. */
  readonly document: PolicyDocument;
  /** True for the shipped `policies/default.yaml`: its values are defaults, not demands. */
  readonly isDefault: boolean;
}

/** Where relative paths start, and what every policy is held to. */
export interface LoadPolicyOptions {
  /** For relative paths of `source`, and in a policy given as a value. The process's by default. */
  readonly cwd?: string;
  /** The operator's floor: put under the policy with `inheritance: narrow`, whatever it says. */
  readonly base?: string | object;
}

/**
 * Loads a policy from a YAML file, or from a value of the same shape, with everything it extends.
 *
 * @param source - path of a file (at most 1 MiB), or the document as plain data
 * @throws {PolicyError} `ENF_POLICY_READ` when there is no such text, `ENF_POLICY_INVALID` when it
 *   is not a policy; `details.problems` has every {@link Problem}, the message one line for each
 */
export async function loadPolicy(
  source: string | object,
  options: LoadPolicyOptions = {},
): Promise<Policy> {
  const cwd = resolve(options.cwd ?? '.');
  const floor = options.base === undefined ? null : await readChain(options.base, cwd);
  const chain = await readChain(source, cwd);
  const unread = [...(floor?.problems ?? []), ...chain.problems];
  if (unread.length > 0) throw policyError(unread);

  const links = [...(floor?.links ?? []), ...chain.links];
  const files = [...new Set(links.flatMap(({ file }) => file ?? []))];
  const { document, notes, problems } = fold(links, floor?.links.length ?? 0);
  const conflicts = conflictsOf(document, files).map((conflict) => locate(links, conflict));
  if (problems.length + conflicts.length > 0) throw policyError([...problems, ...conflicts]);

  const file = chain.links.at(-1)?.file ?? null;
  const allNotes = [...links.flatMap((link) => link.notes), ...notes, ...notesOf(document)];
  const isDefault = links.length === 1 && file !== null && file === shippedDefault();
  return policyOf(document, { file, files, notes: allNotes, isDefault });
}

/**
 * One policy over another, as `extends` would. With `inheritance: narrow` in the base, the override
 * may not widen anything.
 *
 * @throws {PolicyError} `ENF_POLICY_INVALID` naming each key that widens, or that conflicts; and for
 *   what `loadPolicy` did not give
 */
export function mergePolicies(base: Policy, override: Policy): Policy {
  checkLoaded({ base, override });
  const links = [base, override].map(linkOf);
  const files = [...new Set([...base.files, ...override.files])];
  const { document, notes, problems } = fold(links, 0);
  const conflicts = conflictsOf(document, files).map((conflict) => locate(links, conflict));
  if (problems.length + conflicts.length > 0) throw policyError([...problems, ...conflicts]);
  const allNotes = [...base.notes, ...override.notes, ...notes];
  return policyOf(document, { file: override.file, files, notes: allNotes, isDefault: false });
}

/** Content that was not loaded has not been checked, and its paths lead nowhere. */
function checkLoaded(policies: Readonly<Record<string, Policy>>): void {
  for (const [name, policy] of Object.entries(policies)) {
    if (Array.isArray(policy?.files) && typeof policy.document === 'object') continue;
    const message = `\`${name}\` of mergePolicies must be a policy that loadPolicy gave, got ${policy === null ? 'null' : typeof policy}`;
    throw new PolicyError('ENF_POLICY_INVALID', message);
  }
}

function linkOf({ document, file }: Policy): Link {
  return { document, file, notes: [], root: EMPTY_ROOT };
}

/** Merged policies are values: there is no text to point into. */
const EMPTY_ROOT: Link['root'] = { kind: 'map', place: { line: 0, column: 0 }, entries: [] };

function policyOf(
  document: PolicyDocument,
  rest: Pick<Policy, 'file' | 'files' | 'notes' | 'isDefault'>,
): Policy {
  return {
    name: document.name,
    ...(document.version === undefined ? {} : { version: document.version }),
    digest: digestOf(document),
    ...rest,
    document,
  };
}

/** Path of the policy that holds where none is given. */
export function shippedDefault(): string {
  return createRequire(import.meta.url).resolve('#policies/default.yaml');
}

interface Folding {
  readonly document: PolicyDocument;
  readonly notes: readonly string[];
  readonly problems: readonly Problem[];
}

/** @param floorLength - links of the operator's floor: what comes after them may only narrow */
function fold(links: readonly Link[], floorLength: number): Folding {
  const [first, ...rest] = links;
  if (first === undefined) throw new TypeError('a chain has at least one policy');
  let document = first.document;
  const notes: string[] = [];
  const problems: Problem[] = [];
  for (const [index, link] of rest.entries()) {
    const isNarrow =
      document.inheritance === 'narrow' || (index + 1 >= floorLength && floorLength > 0);
    if (isNarrow) {
      const found = wideningsOf(document, link.document);
      problems.push(...found.map(({ path, message }) => widens(link, path, message)));
    } else {
      const looser = limitWidenings(document, link.document);
      notes.push(
        ...looser.map(
          ({ path, message }) => `\`${path.join('.')}\` keeps the base's value: ${message}`,
        ),
      );
    }
    document = mergeDocuments(document, link.document, isNarrow ? 'narrow' : 'merge');
  }
  return { document, notes, problems };
}

function widens(link: Link, path: readonly string[], message: string): Problem {
  const name = formatPath(path);
  return {
    file: link.file ?? OBJECT,
    ...placeOf(link.root, path),
    path: name,
    code: 'widens',
    message: `\`${name}\` would widen the base policy, which may only be narrowed: ${message}`,
  };
}

/** Points at the last file of the chain that states the path. */
export function locate(
  links: readonly Link[],
  conflict: { path: readonly PropertyKey[]; code: Problem['code']; message: string },
): Problem {
  const link = links.findLast(({ root }) => hasPath(root, conflict.path)) ?? links.at(-1);
  return {
    file: link?.file ?? OBJECT,
    ...(link === undefined ? { line: 0, column: 0 } : placeOf(link.root, conflict.path)),
    path: formatPath(conflict.path),
    code: conflict.code,
    message: conflict.message,
  };
}

const MESSAGE_PROBLEMS_MAX = 50;

function policyError(problems: readonly Problem[]): PolicyError {
  const sorted = [...problems].sort((a, b) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : 0,
  );
  const unread = problems.every(({ code }) => code === 'unreadable' || code === 'too-large');
  const lines = sorted.slice(0, MESSAGE_PROBLEMS_MAX).map(formatProblem);
  if (sorted.length > lines.length) lines.push(`and ${sorted.length - lines.length} more`);
  const head = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new PolicyError(
    unread ? 'ENF_POLICY_READ' : 'ENF_POLICY_INVALID',
    `the policy has ${head}:\n${lines.join('\n')}`,
    { details: { problems: sorted } },
  );
}
