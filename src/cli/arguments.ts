import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { EnforceError, isEnforceError } from '../errors.ts';

/** Largest text of arguments that is read at all; the policy's own limit is checked later. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

/** Deeper arguments are refused by the call itself. */
const DEPTH_MAX = 64;

/** The three ways to give arguments; `set` is applied over the others. */
export interface ArgumentOptions {
  readonly args?: string | undefined;
  readonly argsFile?: string | undefined;
  readonly set?: readonly string[] | undefined;
}

/**
 * Arguments of a tool from the command line.
 *
 * @throws {EnforceError} `ENF_CLI_USAGE` naming the option whose text is not what it should be
 */
export async function readArguments(
  options: ArgumentOptions,
  { cwd, stdin }: { readonly cwd: string; readonly stdin: Readable },
): Promise<unknown> {
  const { args, argsFile, set = [] } = options;
  if (args !== undefined && argsFile !== undefined) {
    throw usage('give `--args` or `--args-file`, not both');
  }
  let value: unknown = {};
  if (args === '-' || argsFile === '-') {
    value = parse(await readAll(stdin, 'standard input'), 'standard input');
  } else if (args !== undefined) value = parse(args, '`--args`');
  else if (argsFile !== undefined) {
    const where = `\`--args-file\` ${resolve(cwd, argsFile)}`;
    value = parse(await readAll(createReadStream(resolve(cwd, argsFile)), where), where);
  }
  return set.length === 0 ? value : withSettings(value, set);
}

function parse(text: string, where: string): unknown {
  try {
    // Read as it stands: what I-JSON forbids is refused by the call, with the path of the value.
    return JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? (/at position \d+/.exec(cause.message)?.[0] ?? '') : '';
    throw usage(`${where} must be JSON${detail === '' ? '' : `, it breaks ${detail}`}`);
  }
}

/** Bounded: standard input, a pipe or a device may have no end. */
async function readAll(stream: Readable, where: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).length;
      if (bytes > TEXT_BYTES_MAX) throw usage(`${where} is larger than ${TEXT_BYTES_MAX} bytes`);
      chunks.push(chunk as Buffer);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    if (isEnforceError(cause)) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw usage(`${where} must be UTF-8`);
    throw usage(`${where} cannot be read (${code})`);
  }
}

function withSettings(value: unknown, settings: readonly string[]): unknown {
  return settings.reduce((whole, setting) => {
    const at = setting.indexOf('=');
    if (at < 1) throw usage('`--set` takes key=value');
    const keys = keysOf(setting.slice(0, at));
    return withValue(whole, keys, jsonOrText(setting.slice(at + 1)));
  }, value);
}

/** `a.b` is two keys; a backslash takes a dot, or itself, as it stands. */
function keysOf(path: string): readonly string[] {
  const keys = [...path.matchAll(/(?:^|\.)((?:[^\\.]|\\.|\\$)*)/g)].map(([, key = '']) =>
    key.replace(/\\([\\.])/g, '$1'),
  );
  if (keys.length > DEPTH_MAX) throw usage(`\`--set\` steps into at most ${DEPTH_MAX} objects`);
  if (!keys.includes('')) return keys;
  throw usage('`--set` takes key=value, and no key may be empty; `\\.` is a dot of a name');
}

/** A copy. Computed keys make properties of their own, also of `__proto__`. */
function withValue(value: unknown, [key, ...rest]: readonly string[], leaf: unknown): unknown {
  if (key === undefined) return leaf;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage('`--set` needs arguments that are an object, at each step of its key');
  }
  const below = Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : {};
  return { ...value, [key]: withValue(below, rest, leaf) };
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', message);
}
