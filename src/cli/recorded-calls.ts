import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { DryRunCall } from '../enforce/index.ts';
import { EnforceError } from '../errors.ts';
import { textLines } from './jsonl-lines.ts';
import type { Terminal } from './terminal.ts';

/** A call of a file, with its line; or why the line is none. */
export type RecordedCall = { readonly line: number } & (
  | { readonly call: DryRunCall; readonly ignored: readonly string[] }
  | { readonly problem: string }
);

const KEYS = ['tool', 'args', 'context', 'target', 'at'] as const;

/**
 * Calls of a JSON Lines file, one object a line: `tool` and `args`, and where known `context`,
 * `target` and `at` (ms since 1970, or ISO 8601). Other keys are named and left alone: recordings
 * have labels of their own.
 *
 * @param file - path, or `-` for standard input
 * @throws {EnforceError} `ENF_CLI_USAGE` when the file cannot be read
 */
export async function* recordedCalls(
  file: string,
  { cwd, stdin }: Pick<Terminal, 'cwd' | 'stdin'>,
): AsyncGenerator<RecordedCall> {
  const stream = file === '-' ? stdin : createReadStream(resolve(cwd, file));
  const lines = textLines(stream)[Symbol.asyncIterator]();
  for (;;) {
    const next = await lines.next().catch((cause: NodeJS.ErrnoException) => {
      const name = file === '-' ? 'standard input' : `\`--calls\` ${resolve(cwd, file)}`;
      throw new EnforceError('ENF_CLI_USAGE', `${name} cannot be read (${cause.code})`, { cause });
    });
    if (next.done === true) return;
    const { number: line } = next.value;
    yield 'problem' in next.value
      ? { line, problem: next.value.problem }
      : { line, ...parse(next.value.text) };
  }
}

/** UNTRUSTED: what the keys hold is checked where calls are judged. */
function parse(
  text: string,
):
  | { readonly call: DryRunCall; readonly ignored: readonly string[] }
  | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'is not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problem: 'must be an object with `tool` and `args`' };
  }
  const { at, ...rest } = value as Readonly<Record<string, unknown>>;
  // Without this a misspelt `args` would be a call without arguments.
  if (!Object.hasOwn(rest, 'args')) return { problem: 'must have `args`' };
  const known = KEYS.filter((key) => Object.hasOwn(rest, key)).map((key) => [key, rest[key]]);
  const time = at === undefined || at === null ? {} : { at: timeOf(at) };
  const ignored = Object.keys(rest).filter((key) => !KEYS.some((each) => each === key));
  return { call: { ...Object.fromEntries(known), ...time } as DryRunCall, ignored };
}

/** What is no time is passed on, and refused with the other keys. */
function timeOf(at: unknown): unknown {
  return typeof at === 'string' && /^\d{4}-\d{2}-\d{2}/.test(at) ? Date.parse(at) : at;
}
