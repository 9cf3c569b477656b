import { Command, CommanderError } from 'commander';
import { isEnforceError } from '../index.ts';
import { EXIT, exitCodeOfError } from './exit-code.ts';
import { oneLine, printable, type Terminal } from './terminal.ts';
import { packageVersion } from './version.ts';

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

function buildProgram(
  command: readonly string[] | null,
  terminal: Terminal,
  state: { exitCode: number },
): Command {
  const program = new Command('enforcecore');
  program
    .description('Runs tools of AI agents isolated, under a policy, with a tamper-evident trail.')
    .version(packageVersion())
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .enablePositionalOptions();
  addRun(program, command, terminal, state);
  addVerify(program, terminal, state);
  addValidate(program, terminal, state);
  for (const each of program.commands) each.copyInheritedSettings(program);
  return program;
}

function addRun(
  program: Command,
  command: readonly string[] | null,
  terminal: Terminal,
  state: { exitCode: number },
): void {
  program
    .command('run')
    .description('run a tool module, or any command after --')
    .argument('[tool]', 'path of the module')
    .option('--policy <file>', 'policy; default: the shipped default.yaml')
    .option('--args <json>', 'arguments as JSON; - reads them from stdin')
    .option('--args-file <file>', 'arguments from a JSON file')
    .option('--set <key=value>', 'one argument; JSON if it parses, else text', collect, [])
    .option('--export <name>', 'function of the module; default: its default export')
    .option('--name <tool>', "name for the policy; default: the file's stem")
    .option('--timeout <duration>', 'tighten the time limit: 500ms, 30s, 2m')
    .option('--memory <size>', 'tighten the memory limit: 256mb, 1gb')
    .option('--isolation <tier>', 'at least this tier: thread, process, hardened, isolated')
    .option('--audit <dir>', 'directory of the audit trail')
    .option('--no-audit', 'write no audit trail')
    .option('--state <dir>', 'directory of the kill switch and of counters')
    .option('--config <file>', 'settings; default: enforcecore.config.yaml, if it is there')
    .option('--json', 'print the whole outcome as JSON')
    .option('--quiet', 'no warnings and no output of the tool on stderr')
    .option('--verbose', 'details of errors, and a log on stderr')
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (tool: string | undefined, options: Record<string, unknown>) => {
      const { run } = await import('./run.ts');
      state.exitCode = await run({ tool, command, options }, terminal);
    });
}

/** Repeatable, one value each: a variadic option would swallow the tool's path. */
function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

const RUN_EXAMPLES = `
Examples:
  enforcecore run sum.mjs --args '{"a":1,"b":2}'
  enforcecore run report.mjs --policy policy.yaml --args-file in.json --timeout 10s
  enforcecore run --policy policy.yaml -- python3 tool.py

Exit codes: 0 ok, 1 the tool failed, 2 wrong usage or policy, 3 denied, 4 a limit or the kill switch,
5 isolation unavailable, 6 audit failed, 130/143 interrupted.`;

function addVerify(program: Command, terminal: Terminal, state: { exitCode: number }): void {
  program
    .command('verify')
    .description('check that an audit trail was not changed')
    .argument('<trail>', 'directory of the trail, or one of its files')
    .option('--json', 'print the whole report as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      '\nExit codes: 0 intact, 1 tampered with, 2 cannot be read, 3 incomplete.',
    )
    .action(async (trail: string, options: { json?: boolean }) => {
      const { verify } = await import('./verify.ts');
      state.exitCode = await verify(trail, options, terminal);
    });
}

function addValidate(program: Command, terminal: Terminal, state: { exitCode: number }): void {
  program
    .command('validate')
    .description('check a policy and list every problem with its place')
    .argument('<policy>', 'path of the policy file')
    .option('--json', 'print the problems as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText('after', '\nExit codes: 0 valid, 1 invalid, 2 cannot be read.')
    .action(async (policy: string, options: { json?: boolean }) => {
      const { validate } = await import('./validate.ts');
      state.exitCode = await validate(policy, options, terminal);
    });
}
