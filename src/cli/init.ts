import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { EnforceError } from '../errors.ts';
import { loadPolicy } from '../policy/index.ts';
import { EXIT } from './exit-code.ts';
import { askAnswers, DEFAULT_ANSWERS, type InitAnswers } from './init-answers.ts';
import { type InitFile, initFiles, POLICY_FILE } from './init-files.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** Options of the command. */
export interface InitFlags {
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** `enforcecore init`: a policy made from a few answers, and a tool to try it with. */
export async function init(
  folder: string,
  { yes, json }: InitFlags,
  terminal: Terminal,
): Promise<number> {
  const root = resolve(terminal.cwd, folder);
  // Before any question: nobody likes to answer for nothing.
  const taken = initFiles('x', DEFAULT_ANSWERS).filter(({ path }) => existsSync(join(root, path)));
  if (taken.length > 0) throw exists(taken.map(({ path }) => path));
  const answers = yes === true ? DEFAULT_ANSWERS : await askAnswers(terminal);
  const files = initFiles(oneLine(basename(root)) || 'policy', answers);
  await writeAll(root, files, answers);
  const paths = files.map(({ path }) => relative(terminal.cwd, join(root, path)));
  terminal.out(json === true ? `${JSON.stringify({ written: paths })}\n` : text(paths, answers));
  return EXIT.ok;
}

/** All of them, or, where the policy turns out not to be one, none. */
async function writeAll(
  root: string,
  files: readonly InitFile[],
  { writeFolder }: InitAnswers,
): Promise<void> {
  const written: string[] = [];
  try {
    for (const { path, text } of files) {
      const file = join(root, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text, { flag: 'wx' });
      written.push(file);
    }
    await loadPolicy(join(root, POLICY_FILE));
    if (writeFolder !== null) await mkdir(resolve(root, writeFolder), { recursive: true });
  } catch (cause) {
    for (const file of written) await rm(file);
    throw failure(cause);
  }
}

function failure(cause: unknown): unknown {
  const { code, path } = cause as NodeJS.ErrnoException;
  if (code === 'EEXIST' && path !== undefined) return exists([path]);
  if (code === undefined || code.startsWith('ENF_')) return cause;
  return new EnforceError('ENF_CLI_USAGE', `\`${path}\` cannot be written (${code})`, { cause });
}

function exists(paths: readonly string[]): EnforceError {
  const names = paths.map((path) => `\`${path}\``).join(', ');
  const message = `${names}: exists already, and is not overwritten; choose another folder`;
  return new EnforceError('ENF_CLI_USAGE', message);
}

function text(paths: readonly string[], { domains, writeFolder }: InitAnswers): string {
  const [policy = '', , tool = ''] = paths.map(oneLine);
  const needs =
    domains.length > 0 || writeFolder !== null
      ? '\nIt names a network or a folder, which a tier of `hardened` or `isolated` must enforce: see\n  enforcecore doctor\n'
      : '';
  return `wrote ${paths.map(oneLine).join(', ')}\n\nTry it:\n  enforcecore run ${tool} --policy ${policy} --set name=World\n${needs}`;
}
