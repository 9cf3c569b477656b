import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allCommands, commandTree } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/commands.ts';
import { SHELLS } from '../../src/cli/completion.ts';
import { commandPlace } from '../fixtures/command-line.ts';
import { fakeTerminal } from '../fixtures/fake-terminal.ts';

const tree = commandTree(buildProgram(null, fakeTerminal({ cwd: '/' }), { exitCode: 0 }));

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

async function scriptOf(shell: string): Promise<string> {
  const { code, out, err } = await commandPlace().run('completion', shell);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

describe('the script for every shell', () => {
  test.each(SHELLS)('%s knows every command, option and choice', async (shell) => {
    const script = await scriptOf(shell);
    for (const { path, options } of allCommands(tree)) {
      for (const word of path) expect(script).toContain(word);
      for (const { long, choices } of options) {
        expect(script).toContain(shell === 'fish' ? `-l ${long.slice(2)} ` : long);
        for (const choice of choices) expect(script).toContain(choice);
      }
    }
  });

  test.skipIf(!has('bash'))('is syntax that bash accepts', async () => {
    execFileSync('bash', ['-n'], { input: await scriptOf('bash') });
  });
  test.skipIf(!has('zsh'))('is syntax that zsh accepts', async () => {
    execFileSync('zsh', ['-n'], { input: await scriptOf('zsh') });
  });
  test.skipIf(!has('fish'))('is syntax that fish accepts', async () => {
    execFileSync('fish', ['--no-execute'], { input: await scriptOf('fish') });
  });
});

describe.skipIf(!has('bash'))('in bash', () => {
  /** What bash offers for a line; the last word is the one under the cursor. */
  async function offered(words: readonly string[], files: Readonly<Record<string, string>> = {}) {
    const { cwd, run } = commandPlace(files);
    const { out } = await run('completion', 'bash');
    const line = ['enforcecore', ...words];
    const list = line.map((word) => `'${word}'`).join(' ');
    const input = `${out}
COMP_WORDS=(${list}); COMP_CWORD=${line.length - 1}
_enforcecore
printf '%s\\n' "\${COMPREPLY[@]}"
`;
    const text = execFileSync('bash', ['--norc'], { input, cwd, encoding: 'utf8' });
    return text.split('\n').filter((word) => word !== '');
  }

  test.each<[string, readonly string[], readonly string[]]>([
    ['commands', ['v'], ['validate', 'verify']],
    ['commands below a command', ['audit', 'p'], ['prove']],
    ['options of the command', ['run', '--s'], ['--set', '--session', '--state']],
    ['options of a command below', ['audit', 'recover', '--a'], ['--accept-loss']],
    ['choices of an option', ['run', '--isolation', 'h'], ['hardened']],
    ['choices behind an equals sign', ['run', '--isolation', '=', 'i'], ['isolated']],
    [
      'all choices behind one',
      ['dry-run', 'p', '--fail-on', '='],
      ['denied', 'blocked', 'wouldDeny', 'changed'],
    ],
    ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['nothing for a free text', ['run', '--session', ''], []],
    [
      'options of the right command, whatever its arguments are called',
      ['run', 'verify', '--quie'],
      ['--quiet'],
    ],
  ])('offers %s', async (_kind, words, expected) => {
    expect(await offered(words)).toEqual(expected);
  });

  test('offers files where files belong, with spaces in their names', async () => {
    const files = { 'my policy.yaml': '', 'my tool.mjs': '', other: '' };
    for (const words of [
      ['run', '--policy', 'my'],
      ['run', 'my'],
      ['run', '--', 'my'],
    ]) {
      expect((await offered(words, files)).sort()).toEqual(['my policy.yaml', 'my tool.mjs']);
    }
  });

  test('the real program completes in a real bash', () => {
    const script = `source <(node ${join(process.cwd(), 'bin/enforcecore.js')} completion bash); complete -p enforcecore`;
    const text = execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' });
    expect(text).toContain('-F _enforcecore enforcecore');
  });
});

test.each([[['completion']], [['completion', 'tcsh']], [['completion', 'bash', 'x']]])(
  '%j is wrong usage',
  async (words) => {
    const { code, out, err } = await commandPlace().run(...words);
    expect({ code, out, lines: err.trim().split('\n').length }).toEqual({
      code: 2,
      out: '',
      lines: 1,
    });
  },
);
