import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cliReference } from '../../src/cli/cli-reference.ts';
import { allCommands, commandTree } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/commands.ts';
import { commandPlace } from '../fixtures/command-line.ts';
import { fakeTerminal } from '../fixtures/fake-terminal.ts';

const program = buildProgram(null, fakeTerminal({ cwd: '/' }), { exitCode: 0 });
const leaves = allCommands(commandTree(program)).filter(({ commands }) => commands.length === 0);

test('docs/cli.md is what the commands say', () => {
  const written = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  // The formatter aligns tables; what they say is compared.
  const said = (page: string): string => page.replace(/[\s-]+/g, '');
  expect(said(written), 'run: npm run docs').toBe(said(cliReference(program)));
});

describe.each(leaves.map((node) => [node.path.join(' '), node] as const))('%s', (name, node) => {
  test('has examples that name it, and a meaning for each option and argument', () => {
    expect(node.notes).toContain(`enforcecore ${name}`);
    expect(node.description).not.toBe('');
    for (const { description } of [...node.options, ...node.arguments]) {
      expect(description).not.toBe('');
    }
  });

  test('documents what it prints with --json, if it has it', () => {
    const hasJson = node.options.some(({ long }) => long === '--json');
    const isDocumented = /With --json: |print JSON Lines/.test(node.notes);
    expect(isDocumented).toBe(hasJson);
  });

  test('shows the same with --help, on stdout and at any width', async () => {
    for (const columns of [40, 120]) {
      const { code, out, err } = await commandPlace({}, { columns }).run(...node.path, '--help');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain(node.notes.split('\n')[1]);
    }
  });

  test('suggests the option that was meant', async () => {
    // Asked for before, so that nothing else is missing.
    const needed = name === 'audit keygen' ? ['--out', 'x'] : [];
    const { code, out, err } = await commandPlace().run(...node.path, ...needed, '--verbos');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toBe('enforcecore: unknown option `--verbos`; did you mean `--verbose`?\n');
  });
});

test.each([
  [['verfy'], '`verify`'],
  [['vaildate'], '`validate`'],
  [['audit', 'exprot'], '`export`'],
  [['dryrun'], '`dry-run`'],
])('%j suggests the command that was meant, on one line', async (words, meant) => {
  const { code, out, err } = await commandPlace().run(...words);
  expect({ code, out, lines: err.trim().split('\n').length }).toEqual({
    code: 2,
    out: '',
    lines: 1,
  });
  expect(err).toContain(`did you mean ${meant}?`);
});

test('a long word that is none is not repeated in full', async () => {
  const { code, err } = await commandPlace().run(`${'x'.repeat(100_000)}\u001b[31m`);
  expect(code).toBe(2);
  expect(err.trimEnd()).not.toMatch(/\p{Cc}/u);
  expect(err.length).toBeLessThan(1000);
});
