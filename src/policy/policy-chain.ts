import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { PolicyDocument } from './policy-document.ts';
import { policySchema } from './policy-schema.ts';
import { formatPath, type Problem } from './problem.ts';
import { translatePythonFile } from './python-file.ts';
import { readObject } from './read-object.ts';
import { readPolicyFile } from './read-policy-file.ts';
import { readYaml, type TextProblem } from './read-yaml.ts';
import { resolvePaths } from './resolve-paths.ts';
import { schemaProblems } from './schema-problems.ts';
import {
  fromJson,
  placeOf,
  type SourceEntry,
  type SourceMap,
  type SourceNode,
  toJson,
} from './source-tree.ts';

/** One policy of a chain, valid alone and not merged with anything. */
export interface Link {
  /** Absolute; null for a policy given as a value. */
  readonly file: string | null;
  readonly root: SourceNode;
  readonly document: PolicyDocument;
  readonly notes: readonly string[];
}

/** A policy and everything it extends, bases first, each once; or what is wrong with them. */
export interface Chain {
  readonly links: readonly Link[];
  readonly problems: readonly Problem[];
}

/** Stands for the file of a policy that was given as a value. */
export const OBJECT = '<object>';

/** Files of one chain. */
const FILES_MAX = 32;

/** Reads a policy and, over `extends`, its bases. Problems of every file are reported together. */
export async function readChain(source: string | object, cwd: string): Promise<Chain> {
  const walk = new ChainWalk();
  const reading =
    typeof source === 'string' ? await readFile(resolve(cwd, source)) : readValue(source);
  const links = await walk.visit(reading, cwd, []);
  return { links: walk.problems.length > 0 ? [] : links, problems: walk.problems };
}

/** A document before validation: a tree with places, or problems instead. */
interface Reading {
  readonly file: string | null;
  readonly root: SourceNode | null;
  readonly problems: readonly Problem[];
}

class ChainWalk {
  readonly problems: Problem[] = [];
  /** By real path, so that a diamond is read once and a cycle is found through links. */
  readonly #done = new Map<string, readonly Link[]>();
  #files = 0;

  /** @param open - real paths of the files that are being extended, outermost first */
  async visit(reading: Reading, cwd: string, open: readonly string[]): Promise<readonly Link[]> {
    this.problems.push(...reading.problems);
    if (reading.root === null || reading.problems.length > 0) return [];
    const folder = reading.file === null ? cwd : dirname(reading.file);
    const { rest, bases, problems } = takeExtends(reading.root, reading.file);
    this.problems.push(...problems);
    const inherited: (readonly Link[])[] = [];
    for (const base of bases) inherited.push(await this.#visitBase(base, reading, folder, open));
    const own = this.#validate(reading.file, rest, folder);
    // A base that only lets itself be narrowed must be asked before its siblings add to it.
    inherited.sort((a, b) => Number(hasNarrow(b)) - Number(hasNarrow(a)));
    return unique([...inherited.flat(), ...own]);
  }

  async #visitBase(
    base: SourceEntry,
    child: Reading,
    folder: string,
    open: readonly string[],
  ): Promise<readonly Link[]> {
    const file = resolve(folder, base.key);
    const fail = (message: string): readonly Link[] => {
      const path = 'extends';
      this.problems.push({
        file: child.file ?? OBJECT,
        ...base.keyPlace,
        path,
        code: 'extends',
        message,
      });
      return [];
    };
    const real = await realpath(file).catch(() => file);
    const done = this.#done.get(real);
    if (done !== undefined) return done;
    const opened = child.file === null ? open : [...open, await realpath(child.file)];
    if (opened.includes(real))
      return fail(`\`${base.key}\` extends itself, over ${opened.length} files`);
    this.#files += 1;
    if (this.#files >= FILES_MAX) return fail(`more than ${FILES_MAX} files are extended`);
    const reading = await readFile(file);
    const unread = reading.problems.find(
      ({ code }) => code === 'unreadable' || code === 'too-large',
    );
    if (unread !== undefined) return fail(`\`${base.key}\` ${unread.message}`);
    const links = await this.visit(reading, folder, opened);
    this.#done.set(real, links);
    return links;
  }

  #validate(file: string | null, root: SourceNode, folder: string): Link[] {
    const translation = translatePythonFile(root);
    const value = toJson(translation.root);
    const result = policySchema.safeParse(value);
    const found = result.success
      ? translation.problems
      : [
          ...translation.problems,
          ...schemaProblems(policySchema, value, result.error.issues).map(
            ({ path, ...problem }) => ({
              ...placeOf(translation.root, path),
              path: formatPath(path),
              ...problem,
            }),
          ),
        ];
    this.problems.push(...found.map((problem) => ({ file: file ?? OBJECT, ...problem })));
    if (!result.success || found.length > 0) return [];
    const document = resolvePaths(result.data, folder);
    return [{ file, root: translation.root, document, notes: translation.notes }];
  }
}

function hasNarrow(links: readonly Link[]): boolean {
  return links.some(({ document }) => document.inheritance === 'narrow');
}

function unique(links: readonly Link[]): readonly Link[] {
  return [...new Set(links)];
}

async function readFile(file: string): Promise<Reading> {
  const reading = await readPolicyFile(file);
  if ('problem' in reading) return { file, root: null, problems: [reading.problem] };
  const { root, problems } = readYaml(reading.text);
  return {
    file,
    root: root?.kind === 'map' ? withVersionText(root) : root,
    problems: problems.map((problem) => textProblem(file, problem)),
  };
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

/** `version: 1.0` unquoted is a number to YAML; what was meant is the text. */
function withVersionText(root: SourceMap): SourceMap {
  const entries = root.entries.map((entry) => {
    const { key, node } = entry;
    if (key !== 'version' || node.kind !== 'scalar' || typeof node.value !== 'number') return entry;
    return { ...entry, node: { ...node, value: node.text ?? String(node.value) } };
  });
  return { ...root, entries };
}

interface Extending {
  /** The document without `extends`. */
  readonly rest: SourceNode;
  /** The files it extends, as written, with their places. */
  readonly bases: readonly SourceEntry[];
  readonly problems: readonly Problem[];
}

/** Takes `extends` (one file or a list) out of a document. */
function takeExtends(root: SourceNode, file: string | null): Extending {
  const entry = root.kind === 'map' ? root.entries.find(({ key }) => key === 'extends') : undefined;
  if (root.kind !== 'map' || entry === undefined) return { rest: root, bases: [], problems: [] };
  const rest = { ...root, entries: root.entries.filter((each) => each !== entry) };
  const nodes = entry.node.kind === 'list' ? entry.node.items : [entry.node];
  const bases: SourceEntry[] = [];
  const problems: Problem[] = [];
  for (const node of nodes) {
    if (node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '') {
      bases.push({ key: node.value, keyPlace: node.place, node });
    } else {
      const message = '`extends` must be a file name, or a list of them';
      problems.push({
        file: file ?? OBJECT,
        ...node.place,
        path: 'extends',
        code: 'wrong-type',
        message,
      });
    }
  }
  return { rest, bases, problems };
}
