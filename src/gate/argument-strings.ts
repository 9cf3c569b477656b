import type { Json } from '../call.ts';
import type { ArgumentKind } from '../policy/index.ts';

/** One text among the arguments: a value, or a key of a map. */
export interface ArgumentString {
  readonly text: string;
  readonly kind: ArgumentKind;
  /** A key of a map. */
  readonly isKey: boolean;
  /** Where it stands: `args.url`, `args.items[2].name`. Names only, never values. */
  readonly path: string;
}

/** Deeper arguments are refused, not passed over. */
const DEPTH_MAX = 512;

/** How much of the arguments is examined; more is refused. */
export interface Extent {
  readonly charactersMax: number;
  /** Different texts. */
  readonly stringsMax: number;
}

/**
 * A model writes a call with at most some 100,000 characters, and every rule on hostile text of
 * this size, in one piece or in many, stays under 50 ms.
 */
const ARGUMENTS: Extent = { charactersMax: 131_072, stringsMax: 5000 };

/** Longest part of a name that a path shows. */
const NAME_SHOWN_MAX = 64;

/**
 * Every different text in the arguments at every depth, keys too. What stands under an argument has the kind
 * of the argument.
 *
 * @throws {RangeError} when the arguments are too deep or too large to be examined
 */
export function argumentStrings(
  args: Json,
  kinds: Readonly<Record<string, ArgumentKind>>,
  extent: Extent = ARGUMENTS,
): ArgumentString[] {
  const found: ArgumentString[] = [];
  const seen = new Set<string>();
  let characters = 0;

  const add = (string: ArgumentString): void => {
    // Rows repeat their keys: a text is examined once for each kind.
    const identity = `${string.kind} ${string.isKey} ${string.text}`;
    if (string.text.length === 0 || seen.has(identity)) return;
    seen.add(identity);
    characters += string.text.length;
    if (characters > extent.charactersMax || seen.size > extent.stringsMax) {
      const bounds = `${extent.charactersMax} characters in ${extent.stringsMax} texts`;
      throw new RangeError(`more than ${bounds} are not examined`);
    }
    found.push(string);
  };

  const walk = (value: Json, kind: ArgumentKind, path: string, depth: number): void => {
    if (depth > DEPTH_MAX) throw new RangeError('arguments nested too deep are not examined');
    if (typeof value === 'string') add({ text: value, kind, isKey: false, path });
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const [index, item] of (value as readonly Json[]).entries()) {
        walk(item, kind, `${path}[${index}]`, depth + 1);
      }
      return;
    }
    for (const [key, child] of Object.entries(value)) {
      const inner = `${path}.${shown(key)}`;
      add({ text: key, kind: 'data', isKey: true, path });
      walk(child, declaredKind(kinds, inner) ?? kind, inner, depth + 1);
    }
  };

  walk(args, 'data', 'args', 0);
  return found;
}

/** Kinds are declared by the argument's name, or by a path such as `options.cmd`. */
function declaredKind(
  kinds: Readonly<Record<string, ArgumentKind>>,
  path: string,
): ArgumentKind | undefined {
  const name = path.slice('args.'.length).replace(/\[[0-9]+\]/g, '');
  return Object.hasOwn(kinds, name) ? kinds[name] : undefined;
}

/** UNTRUSTED: keys are part of the arguments; only a plain name is shown. */
function shown(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key.slice(0, NAME_SHOWN_MAX) : '*';
}
