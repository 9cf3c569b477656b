import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandPlace } from '../fixtures/command-line.ts';
import { tool } from '../fixtures/job.ts';

const POLICY = { 'p.yaml': 'name: test\nisolation: { level: process }\n' };

describe('kill', () => {
  test('trips with a reason, which whoever is denied gets to read', async () => {
    const { cwd, run } = commandPlace(POLICY);
    const tripped = await run('kill', '--reason', 'agent out of control');
    const file = join(cwd, 'state/enforcecore/state/KILL');
    expect(tripped).toEqual({
      code: 0,
      out: `tripped: agent out of control (\`${file}\`)\n`,
      err: '',
    });
    expect(readFileSync(file, 'utf8')).toBe('agent out of control\n');
    const denied = await run('run', '--policy', 'p.yaml', tool('add.mjs'));
    expect(denied.code).toBe(3);
    expect(denied.err).toContain('the kill switch is tripped: agent out of control');
    expect((await run('kill', '--reset')).out).toBe(`reset: calls may start again (\`${file}\`)\n`);
    expect(existsSync(file)).toBe(false);
    const words = ['run', '--policy', 'p.yaml', tool('add.mjs'), '--set', 'a=1', '--set', 'b=1'];
    expect((await run(...words)).code).toBe(0);
  });

  test('names who tripped it where no reason is given, and keeps the first reason', async () => {
    const { run } = commandPlace();
    expect((await run('kill', '--state', 's')).out).toMatch(/^tripped: enforcecore kill, by \S/);
    const again = await run('kill', '--state', 's', '--reason', 'another');
    expect(again.out).toMatch(/^was tripped already: enforcecore kill, by/);
  });

  test('resets what was never tripped without a word of blame', async () => {
    expect(await commandPlace().run('kill', '--reset', '--state', 's')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^not tripped/),
      err: '',
    });
  });

  test('keeps a reason to one line, and shows no control characters', async () => {
    const { out } = await commandPlace().run('kill', '--state', 's', '--reason', 'a\n\u001b[31mb');
    expect(out).toMatch(/^tripped: a \[31mb \(/);
  });

  test('fails loudly where the file cannot be written: calls would go on', async () => {
    const { cwd, run } = commandPlace({ taken: 'a file' });
    expect(await run('kill', '--state', 'taken')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('cannot be written; calls go on'),
    });
    mkdirSync(join(cwd, 's'));
    mkdirSync(join(cwd, 's/KILL'));
    writeFileSync(join(cwd, 's/KILL/x'), '');
    expect(await run('kill', '--state', 's', '--reset')).toMatchObject({
      code: 2,
      err: expect.stringContaining('cannot be removed'),
    });
  });

  test.each([
    [['kill', '--reset', '--reason', 'x'], '`--reason` is for tripping'],
    [['kill', 'now'], 'too many arguments'],
    [['kill', '--reason'], 'argument missing'],
  ])('%j is wrong usage', async (words, message) => {
    const { code, err } = await commandPlace().run(...words);
    expect({ code, err: err.includes(message) }).toEqual({ code: 2, err: true });
  });
});
