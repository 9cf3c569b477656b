import type { Command } from 'commander';
import { type CommandNode, commandTree, type OptionNode } from './command-tree.ts';

/** `docs/cli.md`: every command with its arguments, options, JSON and exit codes. */
export function cliReference(program: Command): string {
  const root = commandTree(program);
  return [
    '# Command line',
    '',
    'Generated from the commands (`npm run docs`); `enforcecore <command> --help` says the same.',
    '',
    'Results go to stdout and nothing else does; what is meant for people goes to stderr. What `--json`',
    'prints is stable: keys are added, never renamed or removed. `NO_COLOR` is respected. Flags only',
    'tighten a policy: a looser one is a usage error that names both values. Wrong usage is one line on',
    'stderr and exit code 2; `--verbose` adds where an error came from.',
    '',
    '| command | what it does |',
    '|---|---|',
    ...leaves(root).map(
      ({ path, description }) =>
        `| [\`${path.join(' ')}\`](#${['enforcecore', ...path].join('-')}) | ${cell(description)} |`,
    ),
    '',
    ...leaves(root).flatMap(section),
  ].join('\n');
}

/** The commands that do something. */
function leaves(node: CommandNode): readonly CommandNode[] {
  if (node.commands.length > 0) return node.commands.flatMap(leaves);
  return node.path[0] === 'help' ? [] : [node];
}

function section(node: CommandNode): string[] {
  return [
    `## enforcecore ${node.path.join(' ')}`,
    '',
    `${upperFirst(node.description)}.`,
    '',
    '```',
    node.usage,
    '```',
    '',
    ...table(
      'argument',
      node.arguments.map(({ name, description }) => [name, description]),
    ),
    ...table(
      'option',
      node.options.map((option) => [option.flags, meaningOf(option)]),
    ),
    ...(node.notes === '' ? [] : ['```', node.notes, '```', '']),
  ];
}

function meaningOf({ description, choices }: OptionNode): string {
  return choices.length === 0 ? description : `${description}: ${choices.join(', ')}`;
}

function table(title: string, rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const lines = rows.map(
    ([name = '', description = '']) => `| \`${cell(name)}\` | ${cell(description)} |`,
  );
  return [`| ${title} | meaning |`, '|---|---|', ...lines, ''];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
