import type { Json } from '../call.ts';
import { canonicalJson } from './canonical-json.ts';
import { compileLinearPattern } from './linear-pattern.ts';

/**
 * JSON Schema (2020-12) for arguments: the keywords that tools use, each checked; any other keyword
 * is a problem at load, never ignored at call time. Patterns run in linear time.
 *
 * @see https://json-schema.org/draft/2020-12/json-schema-validation
 */

/** Checks a value; gives the path and the expectation of the first thing that does not fit. */
export type InputCheck = (value: Json) => InputMismatch | null;

export interface InputMismatch {
  readonly path: readonly (string | number)[];
  readonly expected: string;
}

export interface SchemaProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export interface CompiledInputSchema {
  /** Refuses every value while there are problems. */
  readonly check: InputCheck;
  readonly problems: readonly SchemaProblem[];
}

type Path = readonly (string | number)[];
type JsonMap = { readonly [key: string]: Json };
type Check = (value: Json, path: Path) => InputMismatch | null;

/** Say something to readers, nothing to a validator. `format` is one of them in 2020-12. */
const ANNOTATIONS = new Set([
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'format',
  '$defs',
  'definitions',
]);

const REFERENCES_MAX = 64;

/** Measured: about 40 ms. */
const STEPS_MAX = 200_000;

/** Compiles a schema, reporting every keyword that is unknown or badly used. */
export function compileInputSchema(schema: Json): CompiledInputSchema {
  const problems: SchemaProblem[] = [];
  const compiler = new Compiler(schema, problems);
  const check = compiler.compile(schema, []);
  const failed: InputMismatch = { path: [], expected: 'a valid schema' };
  return {
    check(value) {
      if (problems.length > 0) return failed;
      compiler.steps = 0;
      return check(value, []);
    },
    problems,
  };
}

class Compiler {
  /** Of the check that runs: alternatives that refer to themselves could double at every level. */
  steps = 0;
  readonly #root: Json;
  readonly #problems: SchemaProblem[];
  readonly #references = new Map<string, Check>();

  constructor(root: Json, problems: SchemaProblem[]) {
    this.#root = root;
    this.#problems = problems;
  }

  compile(schema: Json, at: Path): Check {
    if (schema === true) return () => null;
    if (schema === false) return (_, path) => ({ path, expected: 'nothing' });
    if (!isMap(schema)) return this.#bad(at, 'must be a schema: a map, true or false');
    const checks = Object.entries(schema).flatMap(([keyword, value]) => {
      if (ANNOTATIONS.has(keyword)) return [];
      return [this.#keyword(keyword, value, schema, [...at, keyword])];
    });
    return (value, path) => {
      this.steps += 1;
      if (this.steps > STEPS_MAX) throw new RangeError('the arguments take too long to check');
      for (const check of checks) {
        const mismatch = check(value, path);
        if (mismatch !== null) return mismatch;
      }
      return null;
    };
  }

  #keyword(keyword: string, value: Json, schema: JsonMap, at: Path): Check {
    switch (keyword) {
      case 'type':
        return this.#type(value, at);
      case 'enum':
        return Array.isArray(value) ? oneOfValues(value) : this.#bad(at, 'must be a list');
      case 'const':
        return oneOfValues([value]);
      case 'properties':
        return this.#properties(value, at);
      case 'required':
        return this.#required(value, at);
      case 'additionalProperties':
        return this.#additional(value, schema, at);
      case 'propertyNames':
        return onNames(this.compile(value, at));
      case 'items':
        return onList(this.compile(value, at));
      case 'uniqueItems':
        return value === true ? uniqueItems : this.#bad(at, 'must be true');
      case 'pattern':
        return this.#pattern(value, at);
      case 'allOf':
      case 'anyOf':
      case 'oneOf':
        return this.#combine(keyword, value, at);
      case 'not':
        return negate(this.compile(value, at));
      case '$ref':
        return this.#reference(value, at);
      default:
        return this.#bound(keyword, value, at);
    }
  }

  #bad(at: Path, message: string): Check {
    this.#problems.push({ path: at, message });
    return (_, path) => ({ path, expected: 'a valid schema' });
  }

  #type(value: Json, at: Path): Check {
    const names = (Array.isArray(value) ? value : [value]) as readonly Json[];
    const tests = names.map((name) => TYPES[String(name)]);
    if (names.length === 0 || tests.some((test) => test === undefined)) {
      return this.#bad(at, `must be one of ${Object.keys(TYPES).join(', ')}`);
    }
    return (found, path) =>
      tests.some((test) => test?.(found)) ? null : { path, expected: names.join(' or ') };
  }

  #properties(value: Json, at: Path): Check {
    if (!isMap(value)) return this.#bad(at, 'must be a map of schemas');
    const checks = Object.entries(value).map(
      ([key, schema]) => [key, this.compile(schema, [...at, key])] as const,
    );
    return (found, path) => {
      if (!isMap(found)) return null;
      for (const [key, check] of checks) {
        const child = Object.hasOwn(found, key) ? found[key] : undefined;
        const mismatch = child === undefined ? null : check(child, [...path, key]);
        if (mismatch !== null) return mismatch;
      }
      return null;
    };
  }

  #required(value: Json, at: Path): Check {
    if (!isTextList(value)) return this.#bad(at, 'must be a list of names');
    return (found, path) => {
      if (!isMap(found)) return null;
      const missing = value.find((key) => !Object.hasOwn(found, key));
      return missing === undefined ? null : { path: [...path, missing], expected: 'a value' };
    };
  }

  #additional(value: Json, schema: JsonMap, at: Path): Check {
    const check = this.compile(value, at);
    const { properties = null } = schema;
    const known = new Set(isMap(properties) ? Object.keys(properties) : []);
    return (found, path) => {
      if (!isMap(found)) return null;
      for (const [key, child] of Object.entries(found)) {
        const mismatch = known.has(key) ? null : check(child, [...path, key]);
        if (mismatch !== null) return mismatch;
      }
      return null;
    };
  }

  #pattern(value: Json, at: Path): Check {
    try {
      const pattern = compileLinearPattern(String(value));
      return (found, path) =>
        typeof found !== 'string' || pattern.test(found) ? null : { path, expected: 'the pattern' };
    } catch (error) {
      return this.#bad(at, error instanceof Error ? error.message : String(error));
    }
  }

  #combine(keyword: 'allOf' | 'anyOf' | 'oneOf', value: Json, at: Path): Check {
    if (!Array.isArray(value) || value.length === 0) return this.#bad(at, 'must be a list');
    const checks = value.map((each: Json, index) => this.compile(each, [...at, index]));
    const [fewest, most] = {
      allOf: [checks.length, checks.length],
      anyOf: [1, checks.length],
      oneOf: [1, 1],
    }[keyword];
    return (found, path) => {
      const mismatches = checks.map((check) => check(found, path));
      const fitting = mismatches.filter((mismatch) => mismatch === null).length;
      if (fitting >= (fewest ?? 1) && fitting <= (most ?? 1)) return null;
      const first = keyword === 'allOf' ? mismatches.find((mismatch) => mismatch !== null) : null;
      return (
        first ?? {
          path,
          expected: `${keyword === 'oneOf' ? 'exactly' : 'at least'} one alternative`,
        }
      );
    };
  }

  /** Local references only; a schema may refer to itself, values end the recursion. */
  #reference(value: Json, at: Path): Check {
    const [, table, name] =
      /^#\/(\$defs|definitions)\/([A-Za-z0-9_.-]{1,256})$/.exec(String(value)) ?? [];
    const definitions = isMap(this.#root) ? this.#root[table ?? ''] : undefined;
    const target = isMap(definitions ?? null) ? (definitions as JsonMap)[name ?? ''] : undefined;
    if (name === undefined || target === undefined) {
      return this.#bad(at, 'must name a definition of this schema: `#/$defs/…`');
    }
    if (!this.#references.has(name)) {
      if (this.#references.size >= REFERENCES_MAX)
        return this.#bad(at, 'refers to too many definitions');
      this.#references.set(name, () => null);
      this.#references.set(name, this.compile(target, [String(table), name]));
    }
    return (found, path) => this.#references.get(name)?.(found, path) ?? null;
  }

  #bound(keyword: string, value: Json, at: Path): Check {
    const bound = BOUNDS[keyword];
    if (bound === undefined) return this.#bad(at, 'is not a keyword that can be checked here');
    if (typeof value !== 'number') return this.#bad(at, 'must be a number');
    return (found, path) => {
      const size = bound.sizeOf(found);
      const fits = size === null || bound.fits(size, value);
      return fits ? null : { path, expected: `${keyword} ${value}` };
    };
  }
}

const TYPES: Readonly<Record<string, (value: Json) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: isMap,
};

interface Bound {
  /** What is compared; null when the keyword does not apply to the value. */
  sizeOf(value: Json): number | null;
  fits(size: number, bound: number): boolean;
}

const numberOf = (value: Json): number | null => (typeof value === 'number' ? value : null);
/** Characters, not UTF-16 units. */
const lengthOf = (value: Json): number | null =>
  typeof value === 'string' ? [...value].length : null;
const itemsOf = (value: Json): number | null => (Array.isArray(value) ? value.length : null);
const entriesOf = (value: Json): number | null => (isMap(value) ? Object.keys(value).length : null);
const atLeast = (size: number, bound: number): boolean => size >= bound;
const atMost = (size: number, bound: number): boolean => size <= bound;

const BOUNDS: Readonly<Record<string, Bound>> = {
  minimum: { sizeOf: numberOf, fits: atLeast },
  maximum: { sizeOf: numberOf, fits: atMost },
  exclusiveMinimum: { sizeOf: numberOf, fits: (size, bound) => size > bound },
  exclusiveMaximum: { sizeOf: numberOf, fits: (size, bound) => size < bound },
  multipleOf: { sizeOf: numberOf, fits: (size, bound) => Number.isInteger(size / bound) },
  minLength: { sizeOf: lengthOf, fits: atLeast },
  maxLength: { sizeOf: lengthOf, fits: atMost },
  minItems: { sizeOf: itemsOf, fits: atLeast },
  maxItems: { sizeOf: itemsOf, fits: atMost },
  minProperties: { sizeOf: entriesOf, fits: atLeast },
  maxProperties: { sizeOf: entriesOf, fits: atMost },
};

function isMap(value: Json): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextList(value: Json): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function oneOfValues(values: readonly Json[]): Check {
  const allowed = new Set(values.map(canonicalJson));
  return (found, path) =>
    allowed.has(canonicalJson(found)) ? null : { path, expected: 'one of the listed values' };
}

function onList(check: Check): Check {
  return (found, path) => {
    if (!Array.isArray(found)) return null;
    for (const [index, item] of (found as readonly Json[]).entries()) {
      const mismatch = check(item, [...path, index]);
      if (mismatch !== null) return mismatch;
    }
    return null;
  };
}

function onNames(check: Check): Check {
  return (found, path) => {
    if (!isMap(found)) return null;
    const bad = Object.keys(found).find((key) => check(key, path) !== null);
    return bad === undefined ? null : { path, expected: 'other names' };
  };
}

function uniqueItems(found: Json, path: Path): InputMismatch | null {
  if (!Array.isArray(found)) return null;
  const isUnique = new Set(found.map(canonicalJson)).size === found.length;
  return isUnique ? null : { path, expected: 'items without repetition' };
}

function negate(check: Check): Check {
  return (found, path) =>
    check(found, path) === null ? { path, expected: 'something else' } : null;
}
