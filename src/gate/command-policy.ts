import { forEachChild, parse, type SyntaxNode, type Word } from 'unbash';

/**
 * True when a command does what no ordinary command does: hands downloaded text to a shell, writes
 * to the system, opens a shell on a socket, wipes from the root. The command is parsed, so quoting
 * and variables do not hide its words. Pipes, redirections and substitutions as such are ordinary.
 */
export function isDangerousCommand(command: string): boolean {
  const danger = new DangerWalk();
  danger.visit(parse(command), 0);
  return danger.found || RAW_SIGNS.some((sign) => sign.test(command));
}

/** Longest command that is parsed; a longer one is refused by the caller. */
export const COMMAND_LENGTH_MAX = 16_384;

const SHELLS = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'csh', 'ash', 'fish']);
const INTERPRETERS = new Set([
  ...SHELLS,
  'python',
  'python3',
  'python2',
  'perl',
  'ruby',
  'node',
  'php',
]);
const PRIVILEGE = new Set(['su', 'doas', 'pkexec']);
const DISK = new Set(['mkfs', 'fdisk', 'parted', 'wipefs', 'shred']);
const DOWNLOADERS = new Set(['curl', 'wget', 'fetch', 'base64', 'xxd', 'openssl', 'nc', 'ncat']);

/** What a parser does not show: sockets as files, and a function that calls itself twice. */
const RAW_SIGNS: readonly RegExp[] = [
  /\/dev\/(?:tcp|udp)\//,
  /\(\)\s{0,4}\{\s{0,4}[:_\w]{1,16}\s{0,4};/,
  /:\s?\(\)\s?\{/,
];

/** Tree levels; no ordinary command nests as deep, and a deeper one is refused. */
const DEPTH_MAX = 60;

class DangerWalk {
  found = false;

  visit(node: SyntaxNode, depth: number): void {
    // Substitutions are parsed when they are visited: each level costs the whole rest again.
    this.found ||= depth > DEPTH_MAX;
    if (this.found) return;
    if (node.type === 'Command') this.#command(node);
    if (node.type === 'Pipeline') this.#pipeline(node);
    if (node.type === 'Redirect') this.#redirect(node);
    forEachChild(node, (child) => this.visit(child, depth + 1));
  }

  #command(node: Extract<SyntaxNode, { type: 'Command' }>): void {
    const words = wordsOf(node);
    const name = programOf(words);
    if (name === undefined) return;
    const rest = words.slice(words.indexOf(name) + 1);
    const program = baseName(name);
    this.found ||=
      PRIVILEGE.has(program) ||
      DISK.has(program.split('.')[0] ?? '') ||
      (program === 'eval' && rest.some((word) => /[$`]/.test(word))) ||
      (program === 'rm' && isWipe(rest)) ||
      (program === 'dd' && rest.some((word) => /^of=\/dev\/(?!null$)/.test(word))) ||
      (['nc', 'ncat', 'netcat', 'socat'].includes(program) && rest.some(isExecOption)) ||
      (SHELLS.has(program) && rest.some((word) => /^-[a-z]*i$/.test(word))) ||
      (['chmod', 'chown'].includes(program) && rest.some(isRootPath)) ||
      (SHELLS.has(program) && rest.some((word) => /^(?:https?:|<\()/.test(word))) ||
      rest.some(isSecretFile);
  }

  /** `curl … | sh`: what was downloaded or decoded is executed. */
  #pipeline(node: Extract<SyntaxNode, { type: 'Pipeline' }>): void {
    const programs = node.commands.map((command) =>
      command.type === 'Command' ? wordsOf(command) : [],
    );
    const last = programOf(programs.at(-1) ?? []);
    const isExecuted =
      last !== undefined &&
      INTERPRETERS.has(baseName(last)) &&
      !(programs.at(-1) ?? [])
        .slice(1)
        .some((word) => !word.startsWith('-') && word !== 'sudo' && word !== last);
    const sources = programs.slice(0, -1).map((each) => baseName(programOf(each) ?? ''));
    this.found ||=
      isExecuted &&
      (SHELLS.has(baseName(last))
        ? sources.some((each) => DOWNLOADERS.has(each))
        : sources.some((each) => each === 'curl' || each === 'wget'));
  }

  #redirect(node: Extract<SyntaxNode, { type: 'Redirect' }>): void {
    const target = node.target?.value ?? '';
    const writes = node.operator.includes('>');
    this.found ||=
      writes &&
      /^(?:\/(?:etc|boot|usr|bin|sbin|lib|root|sys|proc)\/|\/dev\/(?:sd|hd|nvme|vd|mem)|~\/\.(?:ssh|bash|zsh|profile))/.test(
        target,
      );
  }
}

function wordsOf(node: Extract<SyntaxNode, { type: 'Command' }>): string[] {
  const words = node.args.filter((each): each is Word => each.type === 'Word');
  return [node.name, ...words].flatMap((word) => (word === undefined ? [] : [word.value]));
}

/** The program behind `sudo`, `env`, `nohup` and the like. */
function programOf(words: readonly string[]): string | undefined {
  return words.find(
    (word) => !WRAPPERS.has(baseName(word)) && !word.startsWith('-') && !/^\w+=/.test(word),
  );
}

const WRAPPERS = new Set([
  'sudo',
  'env',
  'nohup',
  'time',
  'nice',
  'exec',
  'command',
  'builtin',
  'busybox',
  'setsid',
  'stdbuf',
]);

function baseName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}

function isWipe(words: readonly string[]): boolean {
  const isRecursive = words.some((word) => /^-[a-zA-Z]*[rR]|^--recursive$/.test(word));
  return isRecursive && words.some((word) => isRootPath(word) || word === '--no-preserve-root');
}

function isRootPath(word: string): boolean {
  return /^(?:\/\*?|~\/?\*?|\$HOME\/?\*?|\/(?:etc|usr|bin|boot|home|lib|root|sbin|var)\/?\*?)$/.test(
    word,
  );
}

function isExecOption(word: string): boolean {
  return /^-[a-z]*[ec]$|^--(?:sh-)?exec$|^exec:/i.test(word);
}

function isSecretFile(word: string): boolean {
  return /(?:^|\/)(?:etc\/(?:shadow|gshadow|sudoers)|\.ssh\/id_\w+|\.aws\/credentials|\.docker\/config\.json|\.netrc|\.kube\/config)$/.test(
    word,
  );
}
