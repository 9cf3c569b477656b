import type { EventEmitter } from 'node:events';
import type { Command, Option } from 'commander';

/** A command as completion and the reference page see it. */
export interface CommandNode {
  /** Words after the program's name; none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly usage: string;
  readonly arguments: readonly ArgumentNode[];
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
  /** What the help says at its end. */
  readonly notes: string;
}

/** One argument. */
export interface ArgumentNode {
  readonly name: string;
  readonly description: string;
  readonly choices: readonly string[];
}

/** One option. */
export interface OptionNode {
  /** As the help writes it: `--policy <file>`. */
  readonly flags: string;
  readonly long: string;
  readonly short: string | null;
  readonly description: string;
  /** Name of the value, such as `file`; null for a switch. */
  readonly value: string | null;
  readonly choices: readonly string[];
  readonly isRepeatable: boolean;
}

/** The tree of commands below a program, hidden ones left out. */
export function commandTree(program: Command, path: readonly string[] = []): CommandNode {
  const help = program.createHelp();
  return {
    path,
    description: program.description(),
    usage: help.commandUsage(program),
    arguments: program.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      choices: argument.argChoices ?? [],
    })),
    options: help.visibleOptions(program).map(optionNode),
    commands: program.commands.map((each) => commandTree(each, [...path, each.name()])),
    notes: notesOf(program),
  };
}

function optionNode(option: Option): OptionNode {
  const { flags, long, short, description, argChoices, defaultValue } = option;
  return {
    flags,
    long: long ?? '',
    short: short ?? null,
    description,
    value: /[<[]([^\]>]+)/.exec(flags)?.[1]?.replace('...', '') ?? null,
    choices: argChoices ?? [],
    isRepeatable: Array.isArray(defaultValue),
  };
}

/** `addHelpText` keeps its text in a listener: it is written to whoever asks. */
function notesOf(program: Command): string {
  const texts: string[] = [];
  const write = (text: string): number => texts.push(text);
  // Commands are event emitters, which their types do not say.
  (program as unknown as EventEmitter).emit('afterHelp', { error: false, command: program, write });
  return texts.join('').trim();
}

/** Every command of a tree, the program first. */
export function allCommands(node: CommandNode): readonly CommandNode[] {
  return [node, ...node.commands.flatMap(allCommands)];
}

/** Last word of a command's path; nothing for the program. */
export function nameOf({ path }: CommandNode): string {
  return path.at(-1) ?? '';
}

/** What an option is called on the command line. */
export function flagsOf({ long, short }: OptionNode): readonly string[] {
  return short === null ? [long] : [short, long];
}

/** Words that a command's own arguments are chosen from. */
export function choicesOf(node: CommandNode): readonly string[] {
  return node.arguments.flatMap(({ choices }) => choices);
}

/** Names of values, as the help writes them, that are files or folders. */
const FILE_VALUES = ['file', 'dir', 'tool', 'trail', 'policy', 'policies', 'folder'];

export function takesFile(value: string | null): boolean {
  return value !== null && FILE_VALUES.includes(value);
}
