import { Command } from 'commander';
import type * as AuditCommands from './audit.ts';
import type { ExplainFlags } from './explain.ts';
import type { InspectFlags } from './inspect.ts';
import type { Terminal } from './terminal.ts';
import type { VerifyFlags } from './verify.ts';
import { packageVersion } from './version.ts';

/** Where a command leaves its exit code. */
export interface ExitState {
  exitCode: number;
}

type AuditAction = (
  commands: typeof AuditCommands,
  words: readonly string[],
  options: Record<string, string | boolean | undefined>,
  terminal: Terminal,
) => Promise<number>;

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
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .enablePositionalOptions();
  addRun(program, command, terminal, state);
  addVerify(program, terminal, state);
  addInspect(program, terminal, state);
  addValidate(program, terminal, state);
  addAudit(program, terminal, state);
  addDoctor(program, terminal, state);
  addExplain(program, command, terminal, state);
  for (const each of program.commands) {
    each.copyInheritedSettings(program);
    for (const sub of each.commands) sub.copyInheritedSettings(program);
  }
  return program;
}

function addRun(
  program: Command,
  command: readonly string[] | null,
  terminal: Terminal,
  state: ExitState,
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
    .option('--agent <name>', 'who calls; rates and budgets are kept for each agent')
    .option('--session <name>', 'what the call belongs to; sequence rules are about one session')
    .option('--tenant <name>', 'on whose behalf; limits are kept for each tenant')
    .option('--audit <dir>', 'directory of the audit trail')
    .option('--no-audit', 'write no audit trail')
    .option('--state <dir>', 'directory of the kill switch, of counters and of sessions')
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

function addVerify(program: Command, terminal: Terminal, state: ExitState): void {
  program
    .command('verify')
    .description('check that an audit trail was not changed')
    .argument('<trail>', 'directory of the trail, or one of its files')
    .option('--key <vkey>', 'verifier key, or a file with it')
    .option('--checkpoint <file>', 'checkpoints that were kept outside; needs --key')
    .option('--require <level>', 'signed or anchored')
    .option('--max-unsigned <n>', 'entries that may stand behind the last checkpoint')
    .option('--format <name>', 'enforcecore, or enforcecore-py for trails of the Python version')
    .option('--json', 'print the whole report as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      '\nExit codes: 0 intact, 1 tampered with, 2 cannot be read, 3 incomplete.',
    )
    .action(async (trail: string, options: VerifyFlags) => {
      const { verify } = await import('./verify.ts');
      state.exitCode = await verify(trail, options, terminal);
    });
}

function addInspect(program: Command, terminal: Terminal, state: ExitState): void {
  program
    .command('inspect')
    .description('show entries of an audit trail, without verifying it')
    .argument('<trail>', 'directory of the trail, or one of its files')
    .option('--filter <key=value>', 'only such entries; several filters must all hold', collect, [])
    .option('--tail <n>', 'only the last n of them')
    .option('--limit <n>', 'only the first n of them')
    .option('--follow', 'go on with what is written from now on')
    .option('--json', 'print JSON lines in the form of `audit export`')
    .option('--format <name>', 'enforcecore, or enforcecore-py for trails of the Python version')
    .option('--verbose', 'details of errors')
    .addHelpText('after', INSPECT_HELP)
    .action(async (trail: string, options: InspectFlags) => {
      const { inspect } = await import('./inspect.ts');
      state.exitCode = await inspect(trail, options, terminal);
    });
}

const INSPECT_HELP = `
Filters: decision=allowed|denied|would-deny, tool=, status=, agent=, session=, tenant=, call= (or how
it begins), type=, since= and until= (90s, 1h, 7d, or a time). A key given twice takes either value.

Examples:
  enforcecore inspect trail --tail 20 --filter decision=denied
  enforcecore inspect trail --follow --filter tool=fetch_page --filter since=1h
  enforcecore inspect trail --json --filter status=timeout

Exit codes: 0 shown, 2 wrong usage, 6 the trail cannot be read, or lines of it are damaged.`;

function addAudit(program: Command, terminal: Terminal, state: ExitState): void {
  const audit = program.command('audit').description('keys, proofs and export of an audit trail');
  const add = (name: string, description: string, act: AuditAction): Command =>
    audit
      .command(name)
      .description(description)
      .action(async (...words: unknown[]) => {
        const options = words.at(-2) as Record<string, string | boolean | undefined>;
        const commands = await import('./audit.ts');
        state.exitCode = await act(commands, words.slice(0, -2) as string[], options, terminal);
      });
  add('keygen', 'make a signing key and print its verifier key', (to, _words, options) =>
    to.keygen(options, terminal),
  )
    .requiredOption('--out <file>', 'where the private key goes; must not exist')
    .option('--origin <name>', 'name of the trail, a URL without scheme');
  add('prove <trail> <seq>', 'write a proof that an entry is in the trail', (to, words, options) =>
    to.prove(words, options, terminal),
  ).option('--out <file>', 'the proof; the entry goes beside it as <file>.entry');
  add(
    'consistency <trail> <size>',
    'prove that the trail only grew since it had this size',
    (to, words) => to.consistency(words, terminal),
  );
  add('export <trail>', 'print entries as JSON lines of a stable form', (to, words, options) =>
    to.exportEntries(words, options, terminal),
  )
    .option('--from <seq>', 'leave out earlier entries')
    .option('--types <names>', 'only these types, separated by commas')
    .option('--format <name>', 'enforcecore, or enforcecore-py');
  add(
    'recover <trail>',
    'continue a trail after a crash or an accepted loss',
    (to, words, options) => to.recover(words, options, terminal),
  )
    .option('--key <file>', 'private key of a signed trail')
    .option('--break-lock', 'remove the lock, although its owner may be alive')
    .option('--accept-loss', 'continue a trail that is shorter than its checkpoint');
}

function addDoctor(program: Command, terminal: Terminal, state: ExitState): void {
  program
    .command('doctor')
    .description('try every layer of isolation on this host and say what works')
    .option('--json', 'print the layers as JSON')
    .option('--verbose', 'details of errors')
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import('./doctor.ts');
      state.exitCode = await doctor(options, terminal);
    });
}

function addExplain(
  program: Command,
  command: readonly string[] | null,
  terminal: Terminal,
  state: ExitState,
): void {
  program
    .command('explain')
    .description('show what a tool would run under, without running it')
    .argument('[tool]', 'path of the module; or a command after --')
    .option('--policy <file>', 'policy; default: the shipped default.yaml')
    .option('--name <tool>', "name for the policy; default: the file's stem")
    .option('--isolation <tier>', 'at least this tier')
    .option('--json', 'print it as JSON')
    .option('--verbose', 'details of errors')
    .action(async (tool: string | undefined, options: ExplainFlags) => {
      const { explain } = await import('./explain.ts');
      state.exitCode = await explain({ tool, command, options }, terminal);
    });
}

function addValidate(program: Command, terminal: Terminal, state: ExitState): void {
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
