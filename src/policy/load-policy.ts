import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { PolicyError } from '../errors.ts';
import { digestOf } from './canonical-json.ts';
import type { PolicyDocument } from './policy-document.ts';
import { policySchema } from './policy-schema.ts';
import { formatPath, formatProblem, type Problem } from './problem.ts';
import { readObject } from './read-object.ts';
import { readPolicyFile } from './read-policy-file.ts';
import { readYaml, type TextProblem } from './read-yaml.ts';
import { schemaProblems } from './schema-problems.ts';
import { fromJson, placeOf, type SourceMap, type SourceNode, toJson } from './source-tree.ts';

/** A validated policy. Plain data: safe to keep, compare by `digest`, and share. */
export interface Policy {
  readonly name: string;
  readonly version?: string;
  /** SHA-256 (hex) of the canonical JSON of `document`, after merging. */
  readonly digest: string;
  /** Absolute path of the file that was asked for; null for a policy given as a value. */
  readonly file: string | null;
  /** Every file of the chain, absolute, the asked-for file last. */
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
}

/**
 * Loads a policy from a YAML file, or from a value of the same shape.
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
  const reading =
    typeof source === 'string' ? await readFile(resolve(cwd, source)) : readValue(source);
  const { document, problems } = validate(reading);
  if (problems.length > 0 || document === null) throw policyError(problems);
  return policyOf(document, reading.file);
}

function policyOf(document: PolicyDocument, file: string | null): Policy {
  return {
    name: document.name,
    ...(document.version === undefined ? {} : { version: document.version }),
    digest: digestOf(document),
    file,
    files: file === null ? [] : [file],
    notes: [],
    document,
    isDefault: file !== null && file === shippedDefault(),
  };
}

/** Path of the policy that holds where none is given. */
export function shippedDefault(): string {
  return createRequire(import.meta.url).resolve('#policies/default.yaml');
}

/** A document before validation: a tree with places, or problems instead. */
interface Reading {
  readonly file: string | null;
  readonly root: SourceNode | null;
  readonly problems: readonly Problem[];
}

async function readFile(file: string): Promise<Reading> {
  const reading = await readPolicyFile(file);
  if ('problem' in reading) return { file, root: null, problems: [reading.problem] };
  const { root, problems } = readYaml(reading.text);
  return { file, root, problems: problems.map((problem) => textProblem(file, problem)) };
}

function readValue(source: object): Reading {
  const { value, problems } = readObject(source);
  return {
    file: null,
    root: value === null ? null : fromJson(value),
    problems: problems.map((problem) => textProblem(null, problem)),
  };
}

function textProblem(file: string | null, problem: TextProblem): Problem {
  const { place, path, code, message } = problem;
  return { file: file ?? OBJECT, ...place, path: formatPath(path), code, message };
}

/** Stands for the file of a policy that was given as a value. */
const OBJECT = '<object>';

interface Validation {
  readonly document: PolicyDocument | null;
  readonly problems: readonly Problem[];
}

function validate({ file, root, problems }: Reading): Validation {
  if (root === null || problems.length > 0) return { document: null, problems };
  const value = toJson(root.kind === 'map' ? withVersionText(root) : root);
  const result = policySchema.safeParse(value);
  if (result.success) return { document: result.data, problems: [] };
  const found = schemaProblems(policySchema, value, result.error.issues).map(
    ({ path, ...problem }) => ({
      file: file ?? OBJECT,
      ...placeOf(root, path),
      path: formatPath(path),
      ...problem,
    }),
  );
  return { document: null, problems: found };
}

/** `version: 1.0` unquoted is a number to YAML; what was meant is the text. */
function withVersionText(root: SourceMap): SourceMap {
  const entries = root.entries.map((entry) => {
    const { key, node } = entry;
    if (key !== 'version' || node.kind !== 'scalar' || typeof node.value !== 'number') return entry;
    return { ...entry, node: { ...node, value: node.text ?? String(node.value) } };
  });
  return { ...root, entries };
}

const MESSAGE_PROBLEMS_MAX = 50;

function policyError(problems: readonly Problem[]): PolicyError {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
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
