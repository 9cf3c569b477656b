import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { basename, delimiter, extname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
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
      readonly invoke: (args: Json, call: FunctionCall) => unknown;
      readonly identity: TargetIdentity;
    };

/** What a function of this process may know of the call that runs it. */
export interface FunctionCall {
  readonly callId: string;
  /** The tool's name for the policy. */
  readonly tool: string;
  /** Fires when the call is about to be ended; made when it is first asked for. */
  readonly signal: AbortSignal;
}

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
 * Checks the shape of what a caller wants to run.
 *
 * @throws {EnforceError} `ENF_CALL_ARGUMENT` when it is none of the three shapes
 */
export function checkTarget(target: unknown): ToolTarget {
  const parsed = toolTarget.safeParse(target);
  if (parsed.success) return parsed.data as ToolTarget;
  throw new EnforceError(
    'ENF_CALL_ARGUMENT',
    'the tool must be a path, `{ module, export? }` or `{ command: [program, …] }` of strings without NUL',
  );
}

const word = z.string().regex(/^[^\0]*$/);
const name = word.min(1);
const toolTarget = z.union([
  name,
  z.strictObject({ module: name, export: name.exactOptional() }),
  z.strictObject({ command: z.tuple([name], word) }),
]);

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
  const checked = checkTarget(target);
  if (typeof checked === 'string') return resolveModule(checked, undefined, options);
  if ('module' in checked) return resolveModule(checked.module, checked.export, options);
  return resolveCommand(checked.command, options);
}

/** The name a target has for the policy when none is given: a file's stem, a command's basename. */
export function defaultToolName(target: ToolTarget): string {
  if (typeof target === 'string') return basename(target, extname(target));
  if ('module' in target) return basename(target.module, extname(target.module));
  return basename(target.command[0]);
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
  throw notUsable(shown, problem);
}

function notUsable(shown: string, problem: string): EnforceError {
  return new EnforceError('ENF_CALL_TARGET', `the tool \`${shown}\` ${problem}`);
}

function describe(cause: unknown, mode: number): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist; give the path of its file';
  if (code === 'EACCES')
    return `is not ${mode === constants.X_OK ? 'executable' : 'readable'} here`;
  return `cannot be read (${code ?? 'unknown error'})`;
}

/** The file may be gone, or its disk fail, between being found and being read. */
async function digestOf(path: string, digests: DigestCache): Promise<string> {
  return hashFile(path, digests).catch((cause: unknown) => {
    throw notUsable(path, describe(cause, constants.R_OK));
  });
}

async function hashFile(path: string, digests: DigestCache): Promise<string> {
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
