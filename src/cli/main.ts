import { CommanderError } from 'commander';
import { isEnforceError } from '../errors.ts';
import { buildProgram } from './commands.ts';
import { EXIT, exitCodeOfError } from './exit-code.ts';
import { oneLine, printable, type Terminal } from './terminal.ts';

/**
 * The command line. Commands are imported when they are used, so that each pays only for itself.
 *
 * @param argv - words after the program's name
 * @returns the exit code; never throws
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  // Commander drops `--`; what follows it is a command that is not ours to parse.
  const at = argv.indexOf('--');
  const words = at < 0 ? argv : argv.slice(0, at);
  const command = at < 0 ? null : argv.slice(at + 1);
  const state = { exitCode: EXIT.ok as number };
  const program = buildProgram(command, terminal, state);
  try {
    await program.parseAsync([...words], { from: 'user' });
    await terminal.flush();
    return state.exitCode;
  } catch (error) {
    return report(error, words.includes('--verbose'), terminal);
  }
}

function report(error: unknown, isVerbose: boolean, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const message = error instanceof Error ? error.message : String(error);
  const lines = isEnforceError(error) ? message.split('\n').map(oneLine) : [oneLine(message)];
  terminal.err(`enforcecore: ${lines.join('\n')}\n`);
  if (isVerbose && error instanceof Error) terminal.err(`${printable(String(error.stack))}\n`);
  return exitCodeOfError(error);
}
