import type { Command } from 'commander';
import type * as AuditCommands from './audit.ts';
import { type CommandScope, choice, repeatable } from './command-scope.ts';
import { helpText } from './help-text.ts';
import type { InspectFlags } from './inspect.ts';
import type { VerifyFlags } from './verify.ts';

const FORMATS = ['enforcecore', 'enforcecore-py'] as const;

/** `verify`: is a trail what it was? */
export function addVerify({ program, terminal, state }: CommandScope): void {
  program
    .command('verify')
    .description('check that an audit trail was not changed')
    .argument('<trail>', 'directory of the trail, or one of its files')
    .option('--key <vkey>', 'verifier key, or a file with it')
    .option('--checkpoint <file>', 'checkpoints that were kept outside; needs --key')
    .addOption(choice('--require <level>', 'at least this', ['signed', 'anchored']))
    .option('--max-unsigned <n>', 'entries that may stand behind the last checkpoint')
    .addOption(choice('--format <name>', 'of the trail; -py: of the Python version', FORMATS))
    .option('--json', 'print the whole report as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: [
          'enforcecore verify ./audit',
          'enforcecore verify ./audit --key audit.vkey --require signed',
        ],
        json: '{ ok, exitCode, level, entries, unsigned, rootHash, headHash,\nproblems: [{ kind, message, segment, line, … }], warnings: [{ … }], … }',
        exitCodes: '0 intact, 1 tampered with, 2 cannot be read, 3 incomplete',
      }),
    )
    .action(async (trail: string, options: VerifyFlags) => {
      const { verify } = await import('./verify.ts');
      state.exitCode = await verify(trail, options, terminal);
    });
}

/** `inspect`: what does a trail say? */
export function addInspect({ program, terminal, state }: CommandScope): void {
  program
    .command('inspect')
    .description('show entries of an audit trail, without verifying it')
    .argument('<trail>', 'directory of the trail, or one of its files')
    .addOption(repeatable('--filter <key=value>', 'only such entries; all filters must hold'))
    .option('--tail <n>', 'only the last n of them')
    .option('--limit <n>', 'only the first n of them')
    .option('--follow', 'go on with what is written from now on')
    .option('--json', 'print JSON lines in the form of `audit export`')
    .addOption(choice('--format <name>', 'of the trail; -py: of the Python version', FORMATS))
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        notes: INSPECT_FILTERS,
        examples: [
          'enforcecore inspect ./audit --tail 20 --filter decision=denied',
          'enforcecore inspect ./audit --follow --filter tool=fetch_page --filter since=1h',
          'enforcecore inspect ./audit --json --filter status=timeout',
        ],
        json: 'one entry a line, as `audit export` prints it and `exportedEntryJsonSchema` describes it',
        exitCodes: '0 shown, 2 wrong usage, 6 the trail cannot be read, or lines of it are damaged',
      }),
    )
    .action(async (trail: string, options: InspectFlags) => {
      const { inspect } = await import('./inspect.ts');
      state.exitCode = await inspect(trail, options, terminal);
    });
}

const INSPECT_FILTERS = `
Filters: decision=allowed|denied|would-deny, tool=, status=, agent=, session=, tenant=, call= (or how
it begins), type=, since= and until= (90s, 1h, 7d, or a time). A key given twice takes either value.`;

type AuditAction = (
  commands: typeof AuditCommands,
  words: readonly string[],
  options: Record<string, string | boolean | undefined>,
) => Promise<number>;

/** Adds a command: its name and arguments, what it does, and how. */
type Add = (words: string, description: string, act: AuditAction) => Command;

const ARGUMENTS: Readonly<Record<string, string>> = {
  '<trail>': 'directory of the trail',
  '<seq>': 'number of the entry, from 0',
  '<size>': 'entries that the trail had',
};

/** `audit …`: keys, proofs and upkeep. */
export function addAudit({ program, terminal, state }: CommandScope): void {
  const audit = program.command('audit').description('keys, proofs and export of an audit trail');
  const add: Add = (words, description, act) => {
    const [name = '', ...names] = words.split(' ');
    const command = audit
      .command(name)
      .description(description)
      .option('--verbose', 'details of errors');
    for (const each of names) command.argument(each, ARGUMENTS[each]);
    return command.action(async (...given: unknown[]) => {
      const options = given.at(-2) as Record<string, string | boolean | undefined>;
      const commands = await import('./audit.ts');
      state.exitCode = await act(commands, given.slice(0, -2) as string[], options);
    });
  };
  addProofs(add, terminal);
  add('export <trail>', 'print entries as JSON lines of a stable form', (to, words, options) =>
    to.exportEntries(words, options, terminal),
  )
    .option('--from <seq>', 'leave out earlier entries')
    .option('--types <names>', 'only these types, separated by commas')
    .addOption(choice('--format <name>', 'form of the lines', FORMATS))
    .addHelpText('after', helpText({ examples: ['enforcecore audit export ./audit --from 100'] }));
  add(
    'recover <trail>',
    'continue a trail after a crash or an accepted loss',
    (to, words, options) => to.recover(words, options, terminal),
  )
    .option('--key <file>', 'private key of a signed trail')
    .option('--break-lock', 'remove the lock, although its owner may be alive')
    .option('--accept-loss', 'continue a trail that is shorter than its checkpoint')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore audit recover ./audit --key audit.key'],
        json: '{ entries, brokenLock, lostCheckpoint, … }',
        exitCodes: '0 it can be continued, 2 wrong usage, 6 it cannot',
      }),
    );
}

function addProofs(add: Add, terminal: CommandScope['terminal']): void {
  add('keygen', 'make a signing key and print its verifier key', (to, _words, options) =>
    to.keygen(options, terminal),
  )
    .requiredOption('--out <file>', 'where the private key goes; must not exist')
    .option('--origin <name>', 'name of the trail, a URL without scheme')
    .option('--json', 'print the verifier key as JSON')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore audit keygen --out audit.key > audit.vkey'],
        json: '{ vkey, file }',
      }),
    );
  add('prove <trail> <seq>', 'write a proof that an entry is in the trail', (to, words, options) =>
    to.prove(words, options, terminal),
  )
    .option('--out <file>', 'the proof; the entry goes beside it as <file>.entry')
    .addHelpText(
      'after',
      helpText({ examples: ['enforcecore audit prove ./audit 17 --out 17.proof'] }),
    );
  add(
    'consistency <trail> <size>',
    'prove that the trail only grew since it had this size',
    (to, words) => to.consistency(words, terminal),
  ).addHelpText('after', helpText({ examples: ['enforcecore audit consistency ./audit 100'] }));
}
