/** One thing that is wrong with a policy, and where. */
export interface Problem {
  /** Absolute path of the file, or `<object>` for a policy given as a value. */
  readonly file: string;
  /** 1-based; 0 where there is no text to point at (an object, a file that cannot be read). */
  readonly line: number;
  /** 1-based, in UTF-16 code units; 0 as for `line`. */
  readonly column: number;
  /** Keys and indexes from the top of the document: `tools.fetch_page.args`, `conditions[2]`. */
  readonly path: string;
  readonly code: ProblemCode;
  readonly message: string;
  /** The nearest key or value that would be valid here. */
  readonly suggestion?: string;
}

/** The kinds of problem a policy can have. Permanent, like error codes. */
export type ProblemCode =
  | 'unreadable'
  | 'too-large'
  | 'empty'
  | 'syntax'
  | 'duplicate-key'
  | 'too-complex'
  | 'unsupported-yaml'
  | 'unknown-key'
  | 'reserved-key'
  | 'missing-key'
  | 'wrong-type'
  | 'out-of-range'
  | 'invalid-value'
  | 'conflict'
  | 'extends'
  | 'widens'
  | 'no-equivalent';

/** A place in a policy: where it is written, and its path in the document. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Problems of a file as a whole have no place in its text. */
export const NOWHERE: Place = { line: 0, column: 0 };

/** Renders keys and indexes the way a reader would write them: `a.b[2].c`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`,
    )
    .join('');
}

/** One line for people: `file:line:column: message`, with the suggestion when there is one. */
export function formatProblem(problem: Omit<Problem, 'code'>): string {
  const place = problem.line === 0 ? '' : `:${problem.line}:${problem.column}`;
  const hint = problem.suggestion === undefined ? '' : `; did you mean \`${problem.suggestion}\`?`;
  // A key may hold anything that YAML can: terminals obey control characters.
  return `${problem.file}${place}: ${problem.message}${hint}`.replace(/\p{Cc}/gu, '\ufffd');
}
