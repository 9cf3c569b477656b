import type { Json } from '../call.ts';
import { NOWHERE, type ProblemCode } from './problem.ts';
import type { TextProblem } from './read-yaml.ts';

const DEPTH_MAX = 64;
const NODES_MAX = 200_000;

/** What a value says as a policy, or why it cannot be one. */
export interface ObjectReading {
  readonly value: Json | null;
  readonly problems: readonly TextProblem[];
}

/**
 * Copies a value into plain data, reading every property once: a getter cannot show one face to
 * validation and another to enforcement. `undefined` properties count as absent.
 */
export function readObject(source: object): ObjectReading {
  const problems: TextProblem[] = [];
  const open = new Set<object>();
  let nodes = 0;

  const report = (path: readonly PropertyKey[], code: ProblemCode, message: string): null => {
    problems.push({ place: NOWHERE, path, code, message });
    return null;
  };

  const copy = (value: unknown, path: readonly PropertyKey[]): Json => {
    nodes += 1;
    if (nodes > NODES_MAX || path.length > DEPTH_MAX || problems.length > 100) {
      return report(
        path,
        'too-complex',
        `is larger than ${DEPTH_MAX} levels and ${NODES_MAX} values`,
      );
    }
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number') return value;
    if (typeof value !== 'object')
      return report(path, 'wrong-type', `must be data, got ${typeof value}`);
    if (open.has(value)) return report(path, 'wrong-type', 'refers to itself');
    open.add(value);
    const result = Array.isArray(value) ? copyList(value, path) : copyMap(value, path);
    open.delete(value);
    return result;
  };

  const copyList = (list: readonly unknown[], path: readonly PropertyKey[]): Json => {
    if (list.length > NODES_MAX) return report(path, 'too-complex', `has ${list.length} entries`);
    return Array.from(list, (item, index) => copy(item, [...path, index]));
  };

  const copyMap = (map: object, path: readonly PropertyKey[]): Json => {
    const result: Record<string, Json> = Object.create(null);
    for (const key of Object.keys(map)) {
      if (key === '__proto__') {
        report([...path, key], 'unknown-key', '`__proto__` is not a key here');
        continue;
      }
      const value: unknown = (map as Record<string, unknown>)[key];
      if (value !== undefined) result[key] = copy(value, [...path, key]);
    }
    return result;
  };

  const value = copy(source, []);
  return { value: problems.length > 0 ? null : value, problems };
}
