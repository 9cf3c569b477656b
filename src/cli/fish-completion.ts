import {
  allCommands,
  type CommandNode,
  choicesOf,
  nameOf,
  type OptionNode,
  takesFile,
} from './command-tree.ts';

/** A completion script for fish. */
export function fishCompletion(program: CommandNode): string {
  const lines = [
    '# fish completion of enforcecore: enforcecore completion fish | source',
    'complete -c enforcecore -f',
    ...allCommands(program).flatMap(fishCommand),
  ];
  return `${lines.join('\n')}\n`;
}

function fishCommand(node: CommandNode): readonly string[] {
  const seen = node.path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
  const children = node.commands.map(nameOf).join(' ');
  const isNext = [
    ...(seen === '' ? [] : [seen]),
    ...(node.path.length === 0
      ? ['__fish_use_subcommand']
      : [`not __fish_seen_subcommand_from ${children}`]),
  ].join('; and ');
  return [
    ...node.commands.map(
      (each) =>
        `complete -c enforcecore -n ${fishQuote(isNext)} -a ${nameOf(each)} -d ${fishQuote(each.description)}`,
    ),
    ...node.options.map(
      (option) => `complete -c enforcecore${condition(seen)} ${fishOption(option)}`,
    ),
    ...(node.arguments.length === 0
      ? []
      : [`complete -c enforcecore${condition(seen)} ${fishArguments(node)}`]),
  ];
}

function condition(seen: string): string {
  return seen === '' ? '' : ` -n ${fishQuote(seen)}`;
}

function fishArguments(node: CommandNode): string {
  const choices = choicesOf(node);
  return choices.length > 0 ? `-a ${fishQuote(choices.join(' '))}` : '-F';
}

function fishOption({ long, short, value, choices, description }: OptionNode): string {
  const letter = short === null ? '' : `-s ${short.slice(1)} `;
  const name = `${letter}-l ${long.slice(2)} -d ${fishQuote(description)}`;
  if (value === null) return name;
  if (choices.length > 0) return `${name} -x -a ${fishQuote(choices.join(' '))}`;
  return takesFile(value) ? `${name} -r -F` : `${name} -x`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
