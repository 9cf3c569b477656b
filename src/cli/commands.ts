import { Command } from 'commander';
import type { CommandScope, ExitState } from './command-scope.ts';
import { addCompletion, addDoctor, addInfo, addKill } from './host-commands.ts';
import { addDryRun, addInit, addSchema, addValidate } from './policy-commands.ts';
import { addExplain, addRun } from './run-commands.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { addAudit, addInspect, addVerify } from './trail-commands.ts';
import { packageVersion } from './version.ts';

/**
 * Every command with its options. Each is imported when it is used.
 *
 * @param command - the words after `--`
 * @param state - where the command leaves its exit code
 */
export function buildProgram(
  command: readonly string[] | null,
  terminal: Terminal,
  state: ExitState,
): Command {
  const program = new Command('enforcecore');
  program
    .description('Runs tools of AI agents isolated, under a policy, with a tamper-evident trail.')
    .version(packageVersion())
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => helpWidth(terminal),
      getErrHelpWidth: () => helpWidth(terminal),
      outputError: (text, write) => write(errorLine(text)),
    })
    .enablePositionalOptions();
  const scope: CommandScope = { program, command, terminal, state };
  addRun(scope);
  addExplain(scope);
  addValidate(scope);
  addDryRun(scope);
  addSchema(scope);
  addInit(scope);
  addVerify(scope);
  addInspect(scope);
  addAudit(scope);
  addKill(scope);
  addInfo(scope);
  addDoctor(scope);
  addCompletion(scope);
  for (const each of program.commands) {
    each.copyInheritedSettings(program);
    for (const sub of each.commands) sub.copyInheritedSettings(program);
  }
  return program;
}

/** Where help does not go to a terminal it is as wide as a page. */
function helpWidth({ columns }: Terminal): number {
  return Number.isFinite(columns) ? columns : 100;
}

/** Words of the command line may be of any length, and are repeated in messages. */
const MESSAGE_CHARS_MAX = 500;

/** Commander's `error: …` and, on a second line, `(Did you mean …?)`, as one line of ours. */
function errorLine(text: string): string {
  const [message = '', ...hints] = text.trim().split('\n');
  const line = message
    .replace(/^error: /, '')
    .replaceAll("'", '`')
    .replace(/\. Allowed choices are (.*)\.$/, '; it takes $1');
  const hint = hints.map((each) =>
    each.replace(/^\(Did you mean (.*)\?\)$/, '; did you mean `$1`?'),
  );
  return `enforcecore: ${oneLine(line + hint.join('')).slice(0, MESSAGE_CHARS_MAX)}\n`;
}
