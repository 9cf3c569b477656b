import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { basename, delimiter, extname, isAbsolute, join, resolve } from 'node:path';
import type { Json, TargetIdentity, ToolTarget } from '../call.ts';
import { EnforceError } from '../errors.ts';

/** A target whose files were found, resolved to real paths and hashed. */
export type ResolvedTarget =
  | {
      readonly kind: 'module';
      readonly module: string;
      readonly export?: string;
      readonly identity: TargetIdentity;
    }
  | {
      readonly kind: 'command';
      /** Real path of the program. */
      readonly program: string;
      /** Arguments after the program; a script an interpreter runs is an absolute path. */
      readonly args: readonly string[];
      /** Real path of that script. */
      readonly script?: string;
      readonly identity: TargetIdentity;
    }
  | {
      readonly kind: 'function';
      readonly invoke: (args: Json, signal: AbortSignal) => unknown;
      readonly identity: TargetIdentity;
    };

/** Programs whose first plain argument is the file they run. */
const INTERPRETER =
  /^(?:node|deno|bun|python[\d.]*|pypy[\d.]*|ruby|perl|php|lua|Rscript|bash|sh|dash|zsh|ksh|fish)$/;

/** Remembers digests of files by identity, size and change time, so that a large program is hashed once. */
export type DigestCache = Map<string, string>;

export interface ResolveOptions {
  /** Relative paths start here. */
  readonly cwd: string;
  /** Where programs are looked up. */
  readonly searchPath: string;
  readonly digests: DigestCache;
}

/**
 * Finds and hashes what a call would run.
 *
 * @throws {EnforceError} `ENF_CALL_TARGET` when it does not exist, is not a file or cannot be read;
 *   `ENF_CALL_ARGUMENT` when the target itself is malformed
 */
export async function resolveTarget(
  target: ToolTarget,
  options: ResolveOptions,
): Promise<ResolvedTarget> {
  if (typeof target === 'string') return resolveModule(target, undefined, options);
  if (typeof target === 'object' && target !== null) {
    if ('module' in target && typeof target.module === 'string') {
      return resolveModule(target.module, target.export, options);
    }
    if ('command' in target && isCommand(target.command)) {
      return resolveCommand(target.command, options);
    }
  }
  throw new EnforceError(
    'ENF_CALL_ARGUMENT',
    'the tool must be a path, `{ module, export? }` or `{ command: [program, …] }` of strings without NUL',
  );
}

/** The name a target has for the policy when none is given: a file's stem, a command's basename. */
export function defaultToolName(target: ToolTarget): string {
  if (typeof target === 'string') return basename(target, extname(target));
  if ('module' in target) return basename(target.module, extname(target.module));
  return basename(target.command[0]);
}

function isCommand(value: unknown): value is readonly [string, ...string[]] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value[0] !== '' &&
    value.every((word) => typeof word === 'string' && !word.includes('\0'))
  );
}

async function resolveModule(
  path: string,
  name: string | undefined,
  { cwd, digests }: ResolveOptions,
): Promise<ResolvedTarget> {
  const module = await realFile(resolve(cwd, path), path, constants.R_OK);
  const exported = name === undefined ? {} : { export: name };
  const identity: TargetIdentity = {
    kind: 'module',
    path: module,
    ...exported,
    sha256: await digestOf(module, digests),
  };
  return { kind: 'module', module, ...exported, identity };
}

async function resolveCommand(
  [name, ...args]: readonly [string, ...string[]],
  options: ResolveOptions,
): Promise<ResolvedTarget> {
  const program = await findProgram(name, options);
  const at = INTERPRETER.test(basename(name))
    ? args.findIndex((word) => !word.startsWith('-'))
    : -1;
  const script = at < 0 ? undefined : await scriptOf(args[at] ?? '', options.cwd);
  const words = script === undefined ? args : args.with(at, script);
  const path = script ?? program;
  return {
    kind: 'command',
    program,
    args: words,
    ...(script === undefined ? {} : { script }),
    identity: { kind: 'command', path, sha256: await digestOf(path, options.digests) },
  };
}

async function scriptOf(word: string, cwd: string): Promise<string | undefined> {
  const path = resolve(cwd, word);
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  return isFile ? realFile(path, word, constants.R_OK) : undefined;
}

async function findProgram(name: string, { cwd, searchPath }: ResolveOptions): Promise<string> {
  if (name.includes('/') || isAbsolute(name)) {
    return realFile(resolve(cwd, name), name, constants.X_OK);
  }
  for (const folder of searchPath.split(delimiter).filter(isAbsolute)) {
    const found = await realFile(join(folder, name), name, constants.X_OK).catch(() => undefined);
    if (found !== undefined) return found;
  }
  throw new EnforceError(
    'ENF_CALL_TARGET',
    `the command \`${name}\` is not an executable file in PATH; give its path or install it`,
  );
}

async function realFile(path: string, shown: string, mode: number): Promise<string> {
  let problem: string;
  try {
    const real = await realpath(path);
    if ((await stat(real)).isFile()) {
      await access(real, mode);
      return real;
    }
    problem = 'is not a regular file';
  } catch (cause) {
    problem = describe(cause, mode);
  }
  throw new EnforceError('ENF_CALL_TARGET', `the tool \`${shown}\` ${problem}`);
}

function describe(cause: unknown, mode: number): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist; give the path of its file';
  if (code === 'EACCES')
    return `is not ${mode === constants.X_OK ? 'executable' : 'readable'} here`;
  return `cannot be read (${code ?? 'unknown error'})`;
}

async function digestOf(path: string, digests: DigestCache): Promise<string> {
  const facts = await stat(path, { bigint: true });
  const key = `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`;
  const known = digests.get(key);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const digest = hash.digest('hex');
  if (digests.size >= 1024) digests.clear();
  digests.set(key, digest);
  return digest;
}
