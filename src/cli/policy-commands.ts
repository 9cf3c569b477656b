import { type CommandScope, choices } from './command-scope.ts';
import type { DryRunFlags } from './dry-run.ts';
import { helpText } from './help-text.ts';
import type { InitFlags } from './init.ts';
import type { ValidateFlags } from './validate.ts';

/** `validate`: every problem of policies. */
export function addValidate({ program, terminal, state }: CommandScope): void {
  program
    .command('validate')
    .description('check policies and list every problem with its place')
    .argument('<policies...>', 'paths of policy files')
    .option('--strict', 'also find rules that can never decide anything, and what loosens a base')
    .option('--json', 'print one JSON object for each policy')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: [
          'enforcecore validate policy.yaml',
          'enforcecore validate --strict policies/*.yaml',
        ],
        json: '{ ok, policy, name?, version?, digest?, files?, notes?,\nproblems: [{ file, line, column, path, code, message, suggestion? }], warnings: [{ … }] } a line',
        exitCodes: '0 valid, 1 a problem, or with --strict a warning, 2 a file cannot be read',
      }),
    )
    .action(async (policies: readonly string[], options: ValidateFlags) => {
      const { validate } = await import('./validate.ts');
      state.exitCode = await validate(policies, options, terminal);
    });
}

/** What `--fail-on` takes; `blocked` is `denied`, `changed` is for `--against`. */
const FAIL_ON = ['denied', 'blocked', 'wouldDeny', 'changed'] as const;

/** `dry-run`: decisions without calls. */
export function addDryRun({ program, terminal, state }: CommandScope): void {
  program
    .command('dry-run')
    .description('decide recorded calls under a policy, without running anything')
    .argument('<policy>', 'path of the policy file')
    .option('--calls <file>', 'calls as JSON Lines; - reads them from stdin')
    .option('--tool <name>', 'a single call of this tool')
    .option('--args <json>', 'arguments of the single call')
    .option('--against <file>', 'another policy: print only what this one decides otherwise')
    .option('--interval <duration>', 'time between calls that say none; default: all at once')
    .addOption(choices('--fail-on <what>', 'exit with 1 if any call is; repeatable', FAIL_ON))
    .option('--config <file>', 'settings; default: enforcecore.config.yaml, if it is there')
    .option('--json', 'print JSON Lines')
    .option('--quiet', 'print only the summary')
    .option('--verbose', 'details of errors')
    .addHelpText('after', DRY_RUN_HELP)
    .action(async (policy: string, options: DryRunFlags) => {
      const { dryRun } = await import('./dry-run.ts');
      state.exitCode = await dryRun(policy, options, terminal);
    });
}

const DRY_RUN_HELP = helpText({
  examples: [
    'enforcecore dry-run policy.yaml --calls calls.jsonl --fail-on denied',
    'enforcecore dry-run new.yaml --against old.yaml --calls calls.jsonl',
    `enforcecore dry-run policy.yaml --tool send --args '{"to":"ann@example.org"}'`,
  ],
  notes: `A line is { "tool", "args", "context"?: { agent, session, tenant, costUsd }, "target"?, "at"? }; \`at\` is
ms since 1970 or ISO 8601. Rates, budgets and sequence rules are simulated over the calls, in order, as
if each allowed one had run at once and ended well. Any number of lines takes the same memory.`,
  json: `{ type: "call", line, tool, verdict: "allow" | "would-deny" | "deny",
reasons: [{ rule, code, message }], redactions: { category: n }, at, before?: { verdict, reasons } } or
{ type: "bad-line", line, problem } for each line, at the end { type: "summary", calls, allowed, denied,
wouldDeny, redacted, badLines, untimed, blockRate, byRule, redactions, changes }`,
  exitCodes: '0 ok, 1 --fail-on matched, 2 wrong usage, policy, or a line that is no call',
});

/** `schema`: for editors. */
export function addSchema({ program, terminal, state }: CommandScope): void {
  program
    .command('schema')
    .description('print the JSON Schema of a policy, for editors')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore schema > enforcecore-policy.schema.json'],
        notes:
          'A policy names it in its first line, which editors understand:\n  # yaml-language-server: $schema=./enforcecore-policy.schema.json',
      }),
    )
    .action(async () => {
      const { schema } = await import('./schema.ts');
      state.exitCode = schema(terminal);
    });
}

/** `init`: a first policy. */
export function addInit({ program, terminal, state }: CommandScope): void {
  program
    .command('init')
    .description('write a policy from a few answers, and a tool to try it with')
    .argument('[folder]', 'where; default: the working directory')
    .option('--yes', 'ask nothing: no network, no folder, 30 s, 256 MB')
    .option('--json', 'print what was written as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore init', 'enforcecore init my-agent --yes'],
        notes: 'Nothing is overwritten.',
        json: '{ written: [paths] }',
        exitCodes: '0 written, 2 wrong usage, or a file is there already',
      }),
    )
    .action(async (folder: string | undefined, options: InitFlags) => {
      const { init } = await import('./init.ts');
      state.exitCode = await init(folder ?? '.', options, terminal);
    });
}
