import type { Command } from 'commander';
import { bashCompletion } from './bash-completion.ts';
import { commandTree } from './command-tree.ts';
import { EXIT } from './exit-code.ts';
import { fishCompletion } from './fish-completion.ts';
import type { Terminal } from './terminal.ts';
import { zshCompletion } from './zsh-completion.ts';

/** Shells that a script can be made for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `enforcecore completion`: a script for a shell, made from the commands themselves. */
export function completion(shell: Shell, program: Command, { out }: Terminal): number {
  out(SCRIPTS[shell](commandTree(program)));
  return EXIT.ok;
}
