import type { z } from 'zod';
import { nearestName } from './nearest-name.ts';
import { formatPath, type ProblemCode } from './problem.ts';

/** A problem of the data, by path; the caller knows where the path is written. */
export interface DataProblem {
  readonly path: readonly PropertyKey[];
  readonly code: ProblemCode;
  readonly message: string;
  readonly suggestion?: string;
}

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/** Keys of the design that later versions will know. Refused with that reason, not as a typo. */
const RESERVED_KEYS: readonly string[] = ['webhooks', 'telemetry', 'hooks'];

/** Everything zod found, in the words of the policy language. */
export function schemaProblems(
  schema: Schema,
  value: unknown,
  issues: readonly Issue[],
): DataProblem[] {
  return issues.flatMap((issue) => describe(schema, value, issue, []));
}

function describe(
  schema: Schema,
  value: unknown,
  issue: Issue,
  base: readonly PropertyKey[],
): DataProblem[] {
  const path = [...base, ...issue.path];
  const found = valueAt(value, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(schema, path, key));
    case 'invalid_union':
      return union(schema, value, issue, path);
    case 'invalid_key':
      return issue.issues.map((inner) => ({
        path,
        code: 'invalid-value',
        message: `\`${String(path.at(-1))}\` ${inner.code === 'invalid_format' ? inner.message : 'is too long'}`,
      }));
    case 'invalid_type':
      return [found === undefined ? missing(path) : wrongType(path, issue.expected, found)];
    case 'invalid_value':
      return [found === undefined ? missing(path) : invalidValue(path, issue.values, found)];
    case 'too_small':
    case 'too_big':
      return [outOfRange(path, issue, found)];
    case 'invalid_format':
      return [{ path, code: 'invalid-value', message: `${named(path)} ${issue.message}` }];
    default:
      return [{ path, code: 'invalid-value', message: `${named(path)} ${issue.message}` }];
  }
}

function named(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the policy' : `\`${formatPath(path)}\``;
}

function missing(path: readonly PropertyKey[]): DataProblem {
  return { path, code: 'missing-key', message: `${named(path)} is required` };
}

function wrongType(path: readonly PropertyKey[], expected: string, found: unknown): DataProblem {
  const wanted = TYPE_NAMES[expected] ?? expected;
  return {
    path,
    code: 'wrong-type',
    message: `${named(path)} must be ${wanted}, got ${kindOf(found)}`,
  };
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

/** What was found, without its content: a policy may hold values that belong in no log. */
function kindOf(found: unknown): string {
  if (found === null) return 'nothing';
  if (Array.isArray(found)) return 'a list';
  if (typeof found === 'object') return 'a map';
  if (typeof found === 'number') return String(found);
  return typeof found === 'string' ? 'text' : String(found);
}

function invalidValue(
  path: readonly PropertyKey[],
  values: readonly unknown[],
  found: unknown,
): DataProblem {
  const names = values.map(String);
  const got = typeof found === 'string' ? `\`${found.slice(0, 64)}\`` : kindOf(found);
  const suggestion = typeof found === 'string' ? nearestName(found, names) : undefined;
  return {
    path,
    code: 'invalid-value',
    message: `${named(path)} must be ${oneOf(names)}, got ${got}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function oneOf(names: readonly string[]): string {
  const quoted = names.map((name) => `\`${name}\``);
  return quoted.length === 1 ? String(quoted[0]) : `one of ${quoted.join(', ')}`;
}

function outOfRange(
  path: readonly PropertyKey[],
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  found: unknown,
): DataProblem {
  const [sign, bound] = issue.code === 'too_small' ? ['>=', issue.minimum] : ['<=', issue.maximum];
  const strict = issue.inclusive === false ? sign.charAt(0) : sign;
  const unit = UNITS[issue.origin] ?? '';
  const got = sizeOf(found);
  return {
    path,
    code: 'out-of-range',
    message: `${named(path)} must be ${strict} ${bound}${unit}, got ${got}`,
  };
}

const UNITS: Readonly<Record<string, string>> = {
  string: ' characters',
  array: ' entries',
  record: ' entries',
};

function sizeOf(found: unknown): string {
  if (typeof found === 'string' || Array.isArray(found)) return String(found.length);
  return kindOf(found);
}

/** Reports the alternative that the author most likely meant: the one of the right shape. */
function union(
  schema: Schema,
  value: unknown,
  issue: z.core.$ZodIssueInvalidUnion,
  path: readonly PropertyKey[],
): DataProblem[] {
  const found = valueAt(value, path);
  if (found === undefined) return [missing(path)];
  const alternatives = issue.errors.filter((each) => each.length > 0);
  const fitting = alternatives.filter((each) => !each.some((inner) => isShapeError(inner)));
  const chosen = fitting[0];
  if (chosen !== undefined) {
    return chosen.flatMap((inner) => describe(schema, value, inner as Issue, path));
  }
  const wanted = alternatives.flatMap((each) => each.filter(isShapeError).flatMap(wantedBy));
  const literals = alternatives
    .flat()
    .flatMap((inner) => (inner.code === 'invalid_value' ? inner.values.map(String) : []));
  const suggestion = typeof found === 'string' ? nearestName(found, literals) : undefined;
  return [
    {
      path,
      code: 'wrong-type',
      message: `${named(path)} must be ${[...new Set(wanted)].join(' or ')}, got ${kindOf(found)}`,
      ...(suggestion === undefined ? {} : { suggestion }),
    },
  ];
}

/** True when an alternative failed at its own top: the value is of another shape altogether. */
function isShapeError(issue: Issue): boolean {
  return (
    issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
  );
}

function wantedBy(issue: Issue): string[] {
  if (issue.code === 'invalid_type') return [TYPE_NAMES[issue.expected] ?? issue.expected];
  return issue.code === 'invalid_value' ? [oneOf(issue.values.map(String))] : [];
}

function unknownKey(schema: Schema, path: readonly PropertyKey[], key: string): DataProblem {
  const at = [...path, key];
  if (path.length === 0 && RESERVED_KEYS.includes(key)) {
    const message = `\`${key}\` is reserved: this version has nothing that would honour it`;
    return { path: at, code: 'reserved-key', message };
  }
  const suggestion = homeOf(schema, key) ?? nearestName(key, keysAt(schema, path));
  return {
    path: at,
    code: 'unknown-key',
    message: `\`${key.slice(0, 64)}\` is not a key ${path.length === 0 ? 'here' : `of ${named(path)}`}`,
    ...(suggestion === undefined || suggestion === key ? {} : { suggestion }),
  };
}

/** The section that a misplaced key belongs to: `max_memory_mb` → `resource_limits.max_memory_mb`. */
function homeOf(schema: Schema, key: string): string | undefined {
  const sections = keysAt(schema, []);
  const section = sections.find((name) => keysAt(schema, [name]).includes(key));
  if (section !== undefined) return `${section}.${key}`;
  return sections.includes(key) ? key : undefined;
}

/** The keys that a map at `path` may have. */
export function keysAt(schema: Schema, path: readonly PropertyKey[]): string[] {
  return unwrap(schema).flatMap((option) => {
    const [head, ...rest] = path;
    const def = option._zod.def as SchemaDef;
    if (head === undefined) return Object.keys(def.shape ?? {});
    const child = def.shape?.[String(head)] ?? def.valueType ?? def.catchall ?? def.element;
    return child === undefined ? [] : keysAt(child, rest);
  });
}

/** The parts of zod's definitions that lead to further schemas. */
interface SchemaDef {
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly valueType?: Schema;
  readonly catchall?: Schema;
  readonly element?: Schema;
  readonly innerType?: Schema;
  readonly options?: readonly Schema[];
  readonly in?: Schema;
}

/** Looks through `optional`, unions and pipes to the schemas that have a shape. */
function unwrap(schema: Schema): Schema[] {
  const def = schema._zod.def as SchemaDef;
  if (def.innerType !== undefined) return unwrap(def.innerType);
  if (def.in !== undefined) return unwrap(def.in);
  return def.options === undefined ? [schema] : def.options.flatMap(unwrap);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}
