import { describe, expect, test } from 'vitest';
import { commandPlace } from '../fixtures/command-line.ts';

const BAD = `name: x
alowed_tools: []
resource_limits: { max_memory_mb: -5 }
`;
const IDLE = 'name: x\nallowed_tools: [a, b]\ndenied_tools: [b]\n';

describe('validate', () => {
  test('shows every problem with its line, and a caret below', async () => {
    const { cwd, run } = commandPlace({ 'p.yaml': BAD });
    const { code, out, err } = await run('validate', 'p.yaml');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.replaceAll(cwd, '')).toBe(`the policy has 2 problems:
/p.yaml:2:1: \`alowed_tools\` is not a key here; did you mean \`allowed_tools\`?
  1 | name: x
  2 | alowed_tools: []
    | ^~~~~~~~~~~~
/p.yaml:3:20: \`resource_limits.max_memory_mb\` must be >= 1, got -5
  2 | alowed_tools: []
  3 | resource_limits: { max_memory_mb: -5 }
    |                    ^~~~~~~~~~~~~
`);
  });

  test('lists more problems than an error message would', async () => {
    const keys = Array.from({ length: 200 }, (_, n) => `no_such_key_${n}: 1\n`).join('');
    const { err } = await commandPlace({ 'p.yaml': `name: x\n${keys}` }).run('validate', 'p.yaml');
    expect(err.match(/is not a key here/g)).toHaveLength(200);
  });

  test('goes through all files, and exits with the worst', async () => {
    const files = { 'good.yaml': 'name: good\n', 'bad.yaml': BAD };
    const { cwd, run } = commandPlace(files);
    const all = await run('validate', 'good.yaml', 'bad.yaml', 'none.yaml');
    expect(all.code).toBe(2);
    expect(all.out).toContain(`valid: ${cwd}/good.yaml policy \`good\``);
    expect(all.err).toContain('bad.yaml:2:1');
    expect(all.err).toContain('none.yaml: does not exist');
    expect((await run('validate', 'good.yaml', 'bad.yaml')).code).toBe(1);
  });

  test('points into the file of the chain that is wrong', async () => {
    const files = { 'base.yaml': BAD, 'p.yaml': 'name: p\nextends: base.yaml\n' };
    const { err } = await commandPlace(files).run('validate', 'p.yaml');
    expect(err).toMatch(/base\.yaml:2:1: .*\n {2}1 \| name: x\n {2}2 \| alowed_tools/);
  });

  test('colours on a terminal, and not where NO_COLOR is set or the terminal is dumb', async () => {
    const run = (env: Readonly<Record<string, string>>) =>
      commandPlace({ 'p.yaml': BAD }, { isErrTerminal: true, columns: 80, env }).run(
        ...['validate', 'p.yaml'],
      );
    expect((await run({})).err).toContain('\u001b[31m^~~~');
    expect((await run({ NO_COLOR: '1' })).err).not.toContain('\u001b');
    expect((await run({ TERM: 'dumb' })).err).not.toContain('\u001b');
    expect((await run({ NO_COLOR: '' })).err).toContain('\u001b');
  });

  test('shows control characters of a policy as text', async () => {
    const policy = 'name: x\n"al\\e[31m": 1\n"\u202eevil": 1\n';
    const { err } = await commandPlace({ 'p.yaml': policy }).run('validate', 'p.yaml');
    expect(err.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
  });

  test.each([['validate'], ['validate', 'p.yaml', '--strikt']])(
    '%j is wrong usage',
    async (...words) => {
      const { code, out, err } = await commandPlace({ 'p.yaml': 'name: x\n' }).run(...words);
      expect({ code, out, lines: err.trim().split('\n').length }).toEqual({
        code: 2,
        out: '',
        lines: 1,
      });
    },
  );
});

describe('validate --strict', () => {
  test('warns of rules that can never decide anything, and fails', async () => {
    const { cwd, run } = commandPlace({ 'p.yaml': IDLE });
    const { code, out, err } = await run('validate', '--strict', 'p.yaml');
    expect(code).toBe(1);
    expect(out).toMatch(/^valid: policy `x`/);
    expect(
      err.replaceAll(cwd, ''),
    ).toBe(`warning: /p.yaml:2:20: \`b\` allows nothing: \`b\` is denied
  1 | name: x
  2 | allowed_tools: [a, b]
    |                    ^
`);
  });

  test('says nothing of them without it', async () => {
    const { code, err } = await commandPlace({ 'p.yaml': IDLE }).run('validate', 'p.yaml');
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  test('warns of what loosens a base', async () => {
    const files = {
      'base.yaml': 'name: base\nallowed_tools: [a]\n',
      'p.yaml': 'name: p\nextends: base.yaml\nallowed_tools: [b]\n',
    };
    const { code, err } = await commandPlace(files).run('validate', '--strict', 'p.yaml');
    expect(code).toBe(1);
    expect(err).toContain('p.yaml:3:1: loosens `base`: `b` is not granted there');
  });

  test('has nothing against a policy in which every rule counts', async () => {
    const { code, err } = await commandPlace({ 'p.yaml': 'name: x\n' }).run(
      ...['validate', '--strict', 'p.yaml'],
    );
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });
});
