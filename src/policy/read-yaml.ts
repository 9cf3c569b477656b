import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { NOWHERE, type Place, type ProblemCode } from './problem.ts';
import type { SourceEntry, SourceNode } from './source-tree.ts';

/** Nesting of a policy; its deepest useful form (a JSON Schema for arguments) needs about 20. */
const DEPTH_MAX = 64;

/** Nodes after aliases are followed. 10,000 tools with a section each need about 100,000. */
const NODES_MAX = 200_000;

/** A problem of the text, before the schema is consulted. */
export interface TextProblem {
  readonly place: Place;
  readonly path: readonly PropertyKey[];
  readonly code: ProblemCode;
  readonly message: string;
}

/** What a text says, or why it says nothing. */
export interface YamlReading {
  readonly root: SourceNode | null;
  readonly problems: readonly TextProblem[];
}

/**
 * Reads one YAML 1.2 document as plain data with positions. Duplicate keys, tags, several
 * documents, aliases that multiply, and keys that are not strings are problems, not surprises.
 */
export function readYaml(text: string): YamlReading {
  if (BRACKETS.test(text)) return failed(NOWHERE, 'too-complex', TOO_DEEP);
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      schema: 'core',
      merge: false,
    });
    return 'empty' in documents ? EMPTY : readDocuments(documents as Document.Parsed[], lines);
  } catch (error) {
    // The composer and the walk below recurse once per level; thousands of brackets end here.
    if (!(error instanceof RangeError)) throw error;
    return failed(NOWHERE, 'too-complex', TOO_DEEP);
  }
}

const TOO_DEEP = `is nested deeper than ${DEPTH_MAX} levels`;

/** Measured: the parser takes 4 s for a million of them, and no policy has a hundred. */
const BRACKETS = /(?:[[{]\s{0,8}){100}/;

const EMPTY: YamlReading = failed(NOWHERE, 'empty', 'is empty; a policy needs at least `name`');

function failed(place: Place, code: ProblemCode, message: string): YamlReading {
  return { root: null, problems: [{ place, path: [], code, message }] };
}

function readDocuments(documents: readonly Document.Parsed[], lines: LineCounter): YamlReading {
  const [document, second] = documents;
  const problems = documents.flatMap((each) => textProblems(each, lines));
  if (second !== undefined) {
    const place = placeAt(lines, second.range[0]);
    problems.push(problem(place, [], 'unsupported-yaml', 'one policy is one YAML document'));
  }
  if (problems.length > 0) return { root: null, problems };
  if (!document?.contents || isEmptyScalar(document.contents)) return EMPTY;
  const walk = new Walk(lines);
  const root = walk.read(document.contents, []);
  return { root, problems: walk.problems };
}

function isEmptyScalar(node: Node): boolean {
  return isScalar(node) && (node.value === null || node.value === '') && !node.source;
}

function textProblems(document: Document.Parsed, lines: LineCounter): TextProblem[] {
  return [...document.errors, ...document.warnings].map((error) =>
    problem(
      placeAt(lines, error.pos[0]),
      [],
      error.code === 'DUPLICATE_KEY'
        ? 'duplicate-key'
        : error.code === 'TAG_RESOLVE_FAILED'
          ? 'unsupported-yaml'
          : 'syntax',
      lowerFirst(error.message),
    ),
  );
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, '');
}

function problem(
  place: Place,
  path: readonly PropertyKey[],
  code: ProblemCode,
  message: string,
): TextProblem {
  return { place, path, code, message };
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** One walk over a document. Counts every node it visits, also through aliases. */
class Walk {
  readonly problems: TextProblem[] = [];
  readonly #lines: LineCounter;
  /** An alias means the latest anchor of its name that stands before it. */
  readonly #anchors = new Map<string, Node>();
  #nodes = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(node: Node | null, path: readonly PropertyKey[]): SourceNode {
    const place = this.#placeOf(node);
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX || path.length > DEPTH_MAX) return this.#tooComplex(place, path);
    if (isAlias(node)) return this.#alias(node.source, place, path);
    if (node?.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return { kind: 'map', place, entries: this.#entries(node, path) };
    if (isSeq(node)) {
      const items = (node.items as Node[]).map((item, index) => this.read(item, [...path, index]));
      return { kind: 'list', place, items };
    }
    return this.#scalar(node, place, path);
  }

  #alias(name: string, place: Place, path: readonly PropertyKey[]): SourceNode {
    const node = this.#anchors.get(name);
    if (node !== undefined) return this.read(node, path);
    this.#report(place, path, 'syntax', `there is no anchor \`${name}\` before this alias`);
    return { kind: 'scalar', place, value: null };
  }

  #entries(map: YAMLMap, path: readonly PropertyKey[]): SourceEntry[] {
    return (map.items as Pair<Node, Node | null>[]).map((pair) => {
      const keyPlace = this.#placeOf(pair.key);
      const key = isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : '';
      if (!isScalar(pair.key) || pair.key.value === null) {
        this.#report(keyPlace, path, 'unsupported-yaml', 'a key must be a plain string');
      }
      if (key === '__proto__') {
        this.#report(keyPlace, [...path, key], 'unknown-key', '`__proto__` is not a key here');
      }
      return { key, keyPlace, node: this.read(pair.value, [...path, key]) };
    });
  }

  #scalar(node: Node | null, place: Place, path: readonly PropertyKey[]): SourceNode {
    const value = isScalar(node) ? node.value : null;
    const text = isScalar(node) ? node.source : undefined;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      return { kind: 'scalar', place, value, ...(text === undefined ? {} : { text }) };
    }
    if (value !== null) {
      this.#report(place, path, 'unsupported-yaml', 'a value must be text, a number or a boolean');
    }
    return { kind: 'scalar', place, value: null };
  }

  #tooComplex(place: Place, path: readonly PropertyKey[]): SourceNode {
    if (!this.problems.some((each) => each.code === 'too-complex')) {
      const bound = `${DEPTH_MAX} levels and ${NODES_MAX} values, aliases included`;
      this.#report(place, path, 'too-complex', `is larger than ${bound}`);
    }
    return { kind: 'scalar', place, value: null };
  }

  #report(place: Place, path: readonly PropertyKey[], code: ProblemCode, message: string): void {
    this.problems.push(problem(place, path, code, message));
  }

  #placeOf(node: Node | null): Place {
    return node?.range ? placeAt(this.#lines, node.range[0]) : NOWHERE;
  }
}
