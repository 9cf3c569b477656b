import {
  type ArgumentNode,
  allCommands,
  type CommandNode,
  nameOf,
  type OptionNode,
  takesFile,
} from './command-tree.ts';

/** A completion function for zsh, to be put into `fpath` or evaluated. */
export function zshCompletion(program: CommandNode): string {
  const lines = [
    '#compdef enforcecore',
    '# zsh completion of enforcecore: enforcecore completion zsh > "$fpath[1]/_enforcecore"',
    ...allCommands(program).flatMap(zshFunction),
    'if [[ $funcstack[1] == _enforcecore ]]; then _enforcecore "$@"; else compdef _enforcecore enforcecore; fi',
  ];
  return `${lines.join('\n')}\n`;
}

function zshFunction(node: CommandNode): readonly string[] {
  const name = ['_enforcecore', ...node.path].join('_');
  const options = node.options.map(zshOption);
  if (node.commands.length === 0) {
    const rest = node.arguments.map(zshArgument);
    return [`${name}() {`, '  _arguments \\', ...continued([...options, ...rest]), '}'];
  }
  return [
    `${name}() {`,
    '  local context state line curcontext="$curcontext"',
    '  _arguments -C \\',
    ...continued([...options, "'1:command:->command'", "'*::argument:->argument'"]),
    '  case $state in',
    '    command)',
    '      local -a commands=(',
    ...node.commands.map(
      (each) => `        ${zshQuote(`${nameOf(each)}:${each.description.replaceAll(':', '\\:')}`)}`,
    ),
    '      )',
    '      _describe command commands ;;',
    '    argument)',
    '      case $line[1] in',
    ...node.commands.map((each) => `        ${nameOf(each)}) ${name}_${nameOf(each)} ;;`),
    '      esac ;;',
    '  esac',
    '}',
  ];
}

function zshOption(option: OptionNode): string {
  const description = option.description.replace(/[[\]]/g, '').replaceAll(':', '\\:');
  const repeat = option.isRepeatable ? '*' : '';
  const value = option.value === null ? '' : `:${option.value}:${zshValues(option)}`;
  const flag = option.value === null ? option.long : `${option.long}=`;
  return zshQuote(`${repeat}${flag}[${description}]${value}`);
}

function zshValues({ value, choices }: OptionNode): string {
  if (choices.length > 0) return `(${choices.join(' ')})`;
  return takesFile(value) ? '_files' : ' ';
}

function zshArgument({ name, choices }: ArgumentNode): string {
  return zshQuote(choices.length > 0 ? `:${name}:(${choices.join(' ')})` : `*:${name}:_files`);
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function continued(lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => `    ${line}${index === lines.length - 1 ? '' : ' \\'}`);
}
