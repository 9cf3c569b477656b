/**
 * I-JSON (RFC 7493) in both directions. Arguments and results cross the boundary as text that means
 * the same to every reader: no NaN, no BigInt, no integer beyond 2^53−1, no lone surrogate, no
 * duplicate key, no `__proto__`, no cycle. What does not fit is refused with the path of the value,
 * never rounded or dropped.
 */

/** What is wrong with a value, and where. `path` is like `args.items[3].total`. */
export class IJsonError extends Error {
  override readonly name = 'IJsonError';
  readonly reason: 'value' | 'depth' | 'size' | 'syntax';
  readonly path: string;

  constructor(reason: IJsonError['reason'], path: string, message: string) {
    super(message);
    this.reason = reason;
    this.path = path;
  }
}

export interface IJsonBounds {
  /** Nesting of arrays and objects; 0 allows only scalars. */
  readonly depthMax: number;
  /** Length of the text in UTF-8 bytes. */
  readonly bytesMax: number;
}

/** Objects whose JSON form would silently lose what they hold. */
const LOSSY = new Set([
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'Promise',
  'BigInt',
  'Symbol',
  'RegExp',
  'Error',
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
]);

/**
 * Serialises a value once. Getters and `toJSON` run exactly once, so a value cannot show one face to
 * the policy and another to the tool.
 *
 * @param value - anything; `undefined` properties are left out as in JSON.stringify
 * @param root - how the value is called in errors: `args`, `result`
 * @throws {IJsonError} when the value does not fit I-JSON or the bounds
 */
export function encodeIJson(value: unknown, root: string, bounds: IJsonBounds): string {
  const text = encodeOnce(value, root, bounds);
  if (text === undefined) {
    throw new IJsonError('value', root, `\`${root}\` must be a JSON value, got ${kindOf(value)}`);
  }
  return text;
}

function encodeOnce(value: unknown, root: string, bounds: IJsonBounds): string | undefined {
  try {
    return new Encoder(bounds).encode(value, root, 0);
  } catch (cause) {
    if (cause instanceof IJsonError) throw cause;
    throw notJson(root, 'a value that throws when it is read');
  }
}

class Encoder {
  readonly #bounds: IJsonBounds;
  readonly #open = new Set<object>();
  #bytes = 0;

  constructor(bounds: IJsonBounds) {
    this.#bounds = bounds;
  }

  encode(value: unknown, path: string, depth: number): string | undefined {
    if (value === undefined) return undefined;
    if (value === null || typeof value === 'boolean') return this.#count(String(value), path);
    if (typeof value === 'string') return this.#string(value, path);
    if (typeof value === 'number') return this.#count(encodeNumber(value, path), path);
    if (typeof value === 'object') return this.#object(value, path, depth);
    throw notJson(path, kindOf(value));
  }

  #object(object: object, path: string, depth: number): string | undefined {
    const substitute: unknown = Reflect.get(object, 'toJSON');
    if (typeof substitute === 'function') {
      if (depth > this.#bounds.depthMax) throw tooDeep(path, this.#bounds.depthMax);
      return this.encode(Reflect.apply(substitute, object, ['']), path, depth + 1);
    }
    if (object instanceof Number || object instanceof String || object instanceof Boolean) {
      return this.encode(object.valueOf(), path, depth);
    }
    const tag = Object.prototype.toString.call(object).slice(8, -1);
    if (LOSSY.has(tag) || ArrayBuffer.isView(object) || object instanceof Error) {
      throw notJson(path, `a ${tag}`);
    }
    if (depth >= this.#bounds.depthMax) throw tooDeep(path, this.#bounds.depthMax);
    if (this.#open.has(object)) throw notJson(path, 'a cycle');
    this.#open.add(object);
    const text = Array.isArray(object)
      ? this.#array(object, path, depth)
      : this.#record(object, path, depth);
    this.#open.delete(object);
    return text;
  }

  #array(array: readonly unknown[], path: string, depth: number): string {
    // Read once and checked: the length of a proxy is whatever its trap says.
    const { length } = array;
    if (!Number.isSafeInteger(length)) throw notJson(path, 'an array without a length');
    this.#add(2 + length, path);
    const parts: string[] = [];
    for (let index = 0; index < length; index += 1) {
      parts.push(
        this.encode(array[index], `${path}[${index}]`, depth + 1) ?? this.#count('null', path),
      );
    }
    return `[${parts.join(',')}]`;
  }

  #record(object: object, path: string, depth: number): string {
    this.#add(2, path);
    const parts: string[] = [];
    for (const key of Object.keys(object)) {
      const where = `${path}.${key}`;
      if (key === '__proto__') throw notJson(where, 'a key named `__proto__`');
      const text = this.encode(Reflect.get(object, key), where, depth + 1);
      if (text !== undefined) parts.push(`${this.#string(key, where)}:${text}`);
      this.#add(2, path);
    }
    return `{${parts.join(',')}}`;
  }

  #string(value: string, path: string): string {
    if (!value.isWellFormed()) throw notJson(path, 'a string with a lone surrogate');
    return this.#count(JSON.stringify(value), path);
  }

  #count(text: string, path: string): string {
    this.#add(Buffer.byteLength(text), path);
    return text;
  }

  #add(bytes: number, path: string): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#bounds.bytesMax) {
      const root = /^[^.[]*/.exec(path)?.[0] ?? path;
      throw new IJsonError(
        'size',
        root,
        `\`${root}\` must serialise to at most ${this.#bounds.bytesMax} bytes`,
      );
    }
  }
}

function encodeNumber(value: number, path: string): string {
  if (!Number.isFinite(value)) throw notJson(path, String(value));
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw notJson(path, 'an integer beyond 2^53-1');
  }
  return JSON.stringify(value);
}

function notJson(path: string, what: string): IJsonError {
  return new IJsonError('value', path, `\`${clip(path)}\` must be a JSON value, got ${what}`);
}

function tooDeep(path: string, depthMax: number): IJsonError {
  const root = /^[^.[]*/.exec(path)?.[0] ?? path;
  return new IJsonError('depth', root, `\`${root}\` must nest at most ${depthMax} levels deep`);
}

/** Keys are chosen by the tool: a path in a message stays short. */
function clip(path: string): string {
  return path.length <= 120 ? path : `${path.slice(0, 117)}…`;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'undefined';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/**
 * Parses text that must be I-JSON. Depth, duplicate keys, `__proto__` and numbers that a double
 * cannot hold are found by one linear scan before `JSON.parse` builds anything.
 *
 * @throws {IJsonError} naming the first problem; the message never quotes the text
 */
export function parseIJson(text: string, root: string, bounds: IJsonBounds): unknown {
  if (Buffer.byteLength(text) > bounds.bytesMax) {
    throw new IJsonError('size', root, `\`${root}\` must be at most ${bounds.bytesMax} bytes`);
  }
  scan(text, root, bounds.depthMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    // The rest of V8's message quotes the text.
    const place = /at position \d+/.exec(String(cause))?.[0];
    const where = place === undefined ? '' : `, but it breaks ${place}`;
    throw new IJsonError('syntax', root, `\`${root}\` must be JSON${where}`);
  }
}

/**
 * Walks the tokens of possibly invalid JSON; grammar errors are left to JSON.parse. A string is a
 * key when a colon follows it.
 */
function scan(text: string, root: string, depthMax: number): void {
  const keys: Set<string>[] = [];
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      const end = endOfString(text, at);
      const next = skipSpace(text, end);
      const raw = text.slice(at, end);
      if (raw.includes('\\u') || !raw.isWellFormed()) requireWellFormed(raw, root);
      if (text.charCodeAt(next) === 0x3a) addKey(keys[depth], raw, root);
      at = end;
    } else if (char === 0x7b || char === 0x5b) {
      depth += 1;
      if (depth > depthMax) throw tooDeep(root, depthMax);
      keys[depth] = new Set();
      at += 1;
    } else if (char === 0x7d || char === 0x5d) {
      depth = Math.max(0, depth - 1);
      at += 1;
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      at = checkNumber(text, at, root);
    } else {
      at += 1;
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    if (char === 0x22) return at + 1;
    at += char === 0x5c ? 2 : 1;
  }
  return text.length;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  return at;
}

function requireWellFormed(raw: string, root: string): void {
  if (!unquote(raw, root).isWellFormed()) throw notJson(root, 'a string with a lone surrogate');
}

function addKey(seen: Set<string> | undefined, raw: string, root: string): void {
  const key = raw.includes('\\') ? unquote(raw, root) : raw.slice(1, -1);
  if (key === '__proto__') throw notJson(root, 'a key named `__proto__`');
  if (seen?.has(key)) throw notJson(root, 'a duplicate key');
  seen?.add(key);
}

function unquote(raw: string, root: string): string {
  try {
    return String(JSON.parse(raw));
  } catch {
    throw new IJsonError('syntax', root, `\`${root}\` must be JSON, but a string in it is broken`);
  }
}

/** Whole, however long: a literal that is judged in pieces is judged wrongly. */
const NUMBER = /[-+.\deE]+/y;

function checkNumber(text: string, start: number, root: string): number {
  NUMBER.lastIndex = start;
  const literal = NUMBER.exec(text)?.[0] ?? text.charAt(start);
  const value = Number(literal);
  if (!Number.isFinite(value)) throw notJson(root, 'a number that is not finite');
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw notJson(root, 'an integer beyond 2^53-1');
  }
  return start + literal.length;
}
