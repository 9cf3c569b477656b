import {
  allCommands,
  type CommandNode,
  choicesOf,
  flagsOf,
  nameOf,
  takesFile,
} from './command-tree.ts';

/** A completion script for bash 3.2 and newer. */
export function bashCompletion(program: CommandNode): string {
  const commands = allCommands(program);
  const steps = commands
    .filter(({ path }) => path.length > 0)
    .map(
      ({ path }) => `      ${keyOf(path.slice(0, -1))}/${path.at(-1)}) path=${keyOf(path)} ;;\n`,
    );
  const words = commands.map(
    (node) =>
      `    "${keyOf(node.path)}") flags="${optionWords(node)}"; words="${[...node.commands.map(nameOf), ...choicesOf(node)].join(' ')}" ;;\n`,
  );
  return `# bash completion of enforcecore: source <(enforcecore completion bash)
_enforcecore_files() { local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$1")); }
_enforcecore_words() { COMPREPLY=($(compgen -W "$1" -- "$2")); }
_enforcecore() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path="" flags="" words="" i
  COMPREPLY=()
  # \`--flag=value\` is three words to bash.
  if [[ $cur == "=" ]]; then cur=""; elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    # What follows is a command of its own.
    [[ \${COMP_WORDS[i]} == "--" ]] && { _enforcecore_files "$cur"; return; }
    case "$path/\${COMP_WORDS[i]}" in
${steps.join('')}    esac
  done
  case "$path:$prev" in
${commands.flatMap(valueCases).join('')}  esac
  case "$path" in
${words.join('')}  esac
  if [[ $cur == -* ]]; then _enforcecore_words "$flags" "$cur"
  elif [[ -n $words ]]; then _enforcecore_words "$words" "$cur"
  else _enforcecore_files "$cur"; fi
}
complete -o filenames -F _enforcecore enforcecore
`;
}

function valueCases(node: CommandNode): readonly string[] {
  return node.options
    .filter(({ value }) => value !== null)
    .map((option) => {
      const names = flagsOf(option).map((flag) => `"${keyOf(node.path)}:${flag}"`);
      const words = `_enforcecore_words "${option.choices.join(' ')}" "$cur"; `;
      const files = takesFile(option.value) ? '_enforcecore_files "$cur"; ' : '';
      return `    ${names.join('|')}) ${option.choices.length > 0 ? words : files}return ;;\n`;
    });
}

function keyOf(path: readonly string[]): string {
  return path.map((word) => `/${word}`).join('');
}

function optionWords({ options }: CommandNode): string {
  return options.flatMap(flagsOf).join(' ');
}
