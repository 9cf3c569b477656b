import { TIERS } from '../call.ts';
import { type CommandScope, choice, repeatable } from './command-scope.ts';
import type { ExplainFlags } from './explain.ts';
import { helpText } from './help-text.ts';
import type { RunFlags } from './run.ts';

/** `run`: one call. */
export function addRun({ program, command, terminal, state }: CommandScope): void {
  program
    .command('run')
    .description('run a tool module, or any command after --')
    .argument('[tool]', 'path of the module')
    .option('--policy <file>', 'policy; default: the shipped default.yaml')
    .option('--args <json>', 'arguments as JSON; - reads them from stdin')
    .option('--args-file <file>', 'arguments from a JSON file; - reads them from stdin')
    .addOption(
      repeatable(
        '--set <key=value>',
        'one argument, JSON if it parses, else text; a.b=1 is nested',
      ),
    )
    .option('--export <name>', 'function of the module; default: its default export')
    .option('--name <tool>', "name for the policy; default: the file's stem")
    .option('--agent <name>', 'who asks; rates and budgets are kept for each')
    .option('--session <name>', 'what the call belongs to; sequence rules look at its session')
    .option('--tenant <name>', 'for whom; rates and budgets are kept for each')
    .option('--timeout <duration>', 'tighten the time limit: 500ms, 30s, 2m')
    .option('--memory <size>', 'tighten the memory limit: 256mb, 1gb')
    .addOption(choice('--isolation <tier>', 'at least this tier', TIERS))
    .option('--audit <dir>', 'directory of the audit trail')
    .option('--no-audit', 'write no audit trail')
    .option('--state <dir>', 'directory of the kill switch and of counters')
    .option('--config <file>', 'settings; default: enforcecore.config.yaml, if it is there')
    .option('--json', 'print the whole outcome as JSON')
    .option('--quiet', 'no warnings and no output of the tool on stderr')
    .option('--verbose', 'details of errors, and a log on stderr')
    .addHelpText('after', RUN_HELP)
    .action(async (tool: string | undefined, options: RunFlags) => {
      const { run } = await import('./run.ts');
      state.exitCode = await run({ tool, command, options }, terminal);
    });
}

const RUN_HELP = helpText({
  examples: [
    `enforcecore run sum.mjs --args '{"a":1,"b":2}'`,
    'enforcecore run report.mjs --policy policy.yaml --args-file in.json --timeout 10s',
    'enforcecore run fetch.mjs --set url=https://example.org --set options.retries=3',
    'enforcecore run --policy policy.yaml -- python3 tool.py',
  ],
  notes:
    'A dot in a key of --set steps into an object; `\\.` is a dot of the name itself. TypeScript modules\nrun where Node strips types (22.18 and newer).',
  json: 'the Outcome: { callId, tool, status, value | error: { name, code, message, details }, decision,\nisolation: { tier, layers, … }, usage, redactions, stdout, stderr, limitsHit, audit? }',
  exitCodes:
    '0 ok, 1 the tool failed, 2 wrong usage or policy, 3 denied, 4 a limit or the kill switch,\n5 isolation unavailable, 6 audit failed, 130/143 interrupted',
});

/** `explain`: a call that is not made. */
export function addExplain({ program, command, terminal, state }: CommandScope): void {
  program
    .command('explain')
    .description('show what a tool would run under, without running it')
    .argument('[tool]', 'path of the module; or a command after --')
    .option('--policy <file>', 'policy; default: the shipped default.yaml')
    .option('--name <tool>', "name for the policy; default: the file's stem")
    .addOption(choice('--isolation <tier>', 'at least this tier', TIERS))
    .option('--json', 'print it as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: [
          'enforcecore explain tool.mjs --policy policy.yaml',
          'enforcecore explain -- python3 tool.py',
        ],
        json: '{ tool, tier, layers, unenforced, refusal, limits, sections: [{ title, lines }] };\na limit that is not there is null',
        exitCodes: '0 it would run, 2 wrong usage or policy, 5 isolation unavailable',
      }),
    )
    .action(async (tool: string | undefined, options: ExplainFlags) => {
      const { explain } = await import('./explain.ts');
      state.exitCode = await explain({ tool, command, options }, terminal);
    });
}
