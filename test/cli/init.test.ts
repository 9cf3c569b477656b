import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/index.ts';
import { commandPlace } from '../fixtures/command-line.ts';
import { initJson } from './json-schemas.ts';

const place = (answers = '', files = {}) => commandPlace(files, { stdin: answers });

describe('init', () => {
  test('writes a policy that is valid, says nothing to no effect, and lets its tool run', async () => {
    const { cwd, run } = place();
    const made = await run('init', 'agent', '--yes');
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(join(cwd, 'agent/policy.yaml'), 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\/enforcecore-policy\.schema\.json\n/,
    );
    expect(await run('validate', '--strict', 'agent/policy.yaml')).toMatchObject({
      code: 0,
      err: '',
    });
    const command = /enforcecore (run .*)\n/.exec(made.out)?.[1]?.split(' ') ?? [];
    expect(await run(...command)).toMatchObject({ code: 0, out: 'Hello, World!\n' });
  });

  test('the schema beside it is the one of this version', async () => {
    const { cwd, run } = place();
    await run('init', '--yes');
    const { out } = await run('schema');
    expect(readFileSync(join(cwd, 'enforcecore-policy.schema.json'), 'utf8')).toBe(out);
  });

  test('asks what it needs to know, and asks again after an answer that is none', async () => {
    const answers = [
      'Research: web',
      'maybe',
      'y',
      'example.org, *.example.org',
      'out',
      'n',
      'soon',
      '10s',
      '64mb',
    ];
    const { cwd, run } = place(`${answers.join('\n')}\n`);
    const { code, err } = await run('init');
    expect(code).toBe(0);
    expect(err).toContain('answer y or n');
    expect(err).toContain('takes a duration');
    expect(readFileSync(join(cwd, 'policy.yaml'), 'utf8')).toContain('# For: Research: web.\n');
    expect((await loadPolicy(join(cwd, 'policy.yaml'))).document).toMatchObject({
      allowed_tools: ['hello'],
      network: { allowed_domains: ['example.org', '*.example.org'] },
      filesystem: { write: [join(cwd, 'out')] },
      pii_redaction: { enabled: false },
      resource_limits: { max_call_duration_seconds: 10, max_memory_mb: 64 },
    });
    expect(statSync(join(cwd, 'out')).isDirectory()).toBe(true);
  });

  test('takes what is offered for empty answers', async () => {
    const [asked, unasked] = [place('\n'.repeat(7)), place()];
    await asked.run('init', 'x');
    await unasked.run('init', 'x', '--yes');
    const textOf = ({ cwd }: { cwd: string }) => readFileSync(join(cwd, 'x/policy.yaml'), 'utf8');
    expect(textOf(asked)).toBe(textOf(unasked));
  });

  test.each([
    ['policy.yaml', { 'policy.yaml': 'name: mine\n' }],
    ['the tool', { 'tools/hello.mjs': 'mine' }],
    ['the schema', { 'enforcecore-policy.schema.json': '{}' }],
  ])('never overwrites %s, and then asks and writes nothing', async (_kind, files) => {
    const { cwd, run } = place('', files);
    const [name = '', text] = Object.entries(files)[0] ?? [];
    expect(await run('init')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/^enforcecore: .*is not overwritten.*\n$/),
    });
    expect(readFileSync(join(cwd, name), 'utf8')).toBe(text);
    expect(readdirSync(cwd)).toEqual([name.split('/')[0]]);
  });

  test('leaves nothing behind when the answers do not make a policy', async () => {
    const answers = ['x', 'y', 'https://example.org/x', '', '', '', ''];
    const { cwd, run } = place(`${answers.join('\n')}\n`);
    const { code, err } = await run('init');
    expect(code).toBe(2);
    expect(err).toContain('must be a host name');
    expect(existsSync(join(cwd, 'policy.yaml'))).toBe(false);
    expect(existsSync(join(cwd, 'tools/hello.mjs'))).toBe(false);
  });

  test.each([
    ['a folder that holds the policy', '.', 'own policy'],
    ['a folder above it', '..', 'own policy'],
  ])('refuses %s as the one tools write to', async (_kind, folder, message) => {
    const { cwd, run } = place(`x\nn\n${folder}\n\n\n\n`);
    const { code, err } = await run('init');
    expect({ code, isWritten: existsSync(join(cwd, 'policy.yaml')) }).toEqual({
      code: 2,
      isWritten: false,
    });
    expect(err).toContain(message);
  });

  test('an answer is text, whatever YAML would make of it', async () => {
    const purpose = 'x: [\u001b]0;t\u0007"\u2028#';
    const { cwd, run } = place(`${purpose}\nn\nout: "x" # {\n\n\n\n`);
    expect((await run('init')).code).toBe(0);
    const { document } = await loadPolicy(join(cwd, 'policy.yaml'));
    expect(document.filesystem?.write).toEqual([join(cwd, 'out: "x" # {')]);
    const written = readFileSync(join(cwd, 'policy.yaml'), 'utf8').replaceAll('\n', '');
    expect(written).not.toMatch(/[\p{Cc}\u2028]/u);
  });

  test.each([
    ['that end too early', 'x\n', '`--yes` asks none'],
    ['that never fit', `x\n${'maybe\n'.repeat(10)}`, 'answer y or n'],
    ['that are missing', '', '`--yes` asks none'],
  ])('answers %s are wrong usage', async (_kind, answers, message) => {
    const { cwd, run } = place(answers);
    const { code, out, err } = await run('init');
    expect({ code, out, files: readdirSync(cwd) }).toEqual({ code: 2, out: '', files: [] });
    expect(err).toContain(message);
  });

  test('--json names the files', async () => {
    const { out } = await place().run('init', 'x', '--yes', '--json');
    expect(initJson.parse(JSON.parse(out)).written).toContain('x/policy.yaml');
  });

  test('a folder that cannot be made is one line', async () => {
    const { code, err } = await place('', { taken: 'a file' }).run('init', 'taken', '--yes');
    expect({ code, lines: err.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
    expect(err).toContain('taken`: exists already');
  });
});
