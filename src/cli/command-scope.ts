import { type Command, Option } from 'commander';
import type { Terminal } from './terminal.ts';

/** What the definition of a command needs to run it. */
export interface CommandScope {
  readonly program: Command;
  /** Words after `--`; null where there is no `--`. */
  readonly command: readonly string[] | null;
  readonly terminal: Terminal;
  readonly state: ExitState;
}

/** Where a command leaves its exit code. */
export interface ExitState {
  exitCode: number;
}

/** An option that takes one of a few words. */
export function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

/** {@link choice}, as often as wanted. */
export function choices(flags: string, description: string, words: readonly string[]): Option {
  const option = choice(flags, description, words);
  const { parseArg } = option;
  return option
    .default([], 'none')
    .argParser((value: string, earlier: readonly string[]) => [
      ...earlier,
      parseArg?.(value, value) ?? value,
    ]);
}

/** An option that may be repeated, one value each: a variadic one would swallow the arguments. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .default([], 'none')
    .argParser((value: string, earlier: readonly string[]) => [...earlier, value]);
}
