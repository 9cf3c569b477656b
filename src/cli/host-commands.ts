import { Argument } from 'commander';
import type { CommandScope } from './command-scope.ts';
import type { Shell } from './completion.ts';
import { helpText } from './help-text.ts';
import type { InfoFlags } from './info.ts';
import type { KillFlags } from './kill.ts';

/** `kill`: the emergency stop. */
export function addKill({ program, terminal, state }: CommandScope): void {
  program
    .command('kill')
    .description('end every call that shares a state folder, and let none start')
    .option('--reason <text>', 'shown to whoever is denied')
    .option('--reset', 'let calls start again')
    .option('--state <dir>', 'directory of the kill switch; default: as the settings say')
    .option('--config <file>', 'settings; default: enforcecore.config.yaml, if it is there')
    .option('--json', 'print it as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: [`enforcecore kill --reason 'agent out of control'`, 'enforcecore kill --reset'],
        json: '{ tripped, changed, reason, file }',
        exitCodes: '0 done, 2 the file cannot be written or removed',
      }),
    )
    .action(async (options: KillFlags) => {
      const { kill } = await import('./kill.ts');
      state.exitCode = await kill(options, terminal);
    });
}

/** `info`: what is in force. */
export function addInfo({ program, terminal, state }: CommandScope): void {
  program
    .command('info')
    .description('show versions, settings and where they come from, tiers, policy and trail')
    .option('--policy <file>', 'policy; default: the shipped default.yaml')
    .option('--config <file>', 'settings; default: enforcecore.config.yaml, if it is there')
    .option('--json', 'print it as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore info', 'enforcecore info --json'],
        json: '{ version, node, platform, settings: { name: { value, from, name? } },\npolicy: { file, name, digest, problem }, tiers: [{ tier, works, layers, cause, remedy }], warnings }',
      }),
    )
    .action(async (options: InfoFlags) => {
      const { info } = await import('./info.ts');
      state.exitCode = await info(options, terminal);
    });
}

/** `doctor`: what this host can enforce. */
export function addDoctor({ program, terminal, state }: CommandScope): void {
  program
    .command('doctor')
    .description('try every layer of isolation on this host and say what works')
    .option('--json', 'print the layers as JSON')
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: ['enforcecore doctor'],
        json: '[{ layer, works, detail?, cause?, remedy? }]',
      }),
    )
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import('./doctor.ts');
      state.exitCode = await doctor(options, terminal);
    });
}

/** `completion`: for shells. */
export function addCompletion({ program, terminal, state }: CommandScope): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .option('--verbose', 'details of errors')
    .addHelpText(
      'after',
      helpText({
        examples: [
          'source <(enforcecore completion bash)',
          'enforcecore completion zsh > "$fpath[1]/_enforcecore"',
          'enforcecore completion fish | source',
        ],
      }),
    )
    .action(async (shell: Shell) => {
      const { completion } = await import('./completion.ts');
      state.exitCode = completion(shell, program, terminal);
    });
}
