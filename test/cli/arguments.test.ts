import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { type ArgumentOptions, readArguments } from '../../src/cli/arguments.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';

const read = (options: ArgumentOptions, { cwd = '/', stdin = '' as string | Buffer } = {}) =>
  readArguments(options, { cwd, stdin: Readable.from([Buffer.from(stdin)]) });

test('are an empty object when none are given', async () => {
  expect(await read({})).toEqual({});
});

test('come from the option, a file or standard input', async () => {
  const cwd = testFolder();
  writeFileSync(join(cwd, 'in.json'), '\ufeff{"a":1}\n');
  expect(await read({ args: '[1,null]' })).toEqual([1, null]);
  expect(await read({ argsFile: 'in.json' }, { cwd })).toEqual({ a: 1 });
  expect(await read({ args: '-' }, { stdin: '{"b":"é"}' })).toEqual({ b: 'é' });
  expect(await read({ argsFile: '-' }, { stdin: '[2]' })).toEqual([2]);
});

test.skipIf(process.platform === 'win32')('come from a pipe that has a name', async () => {
  const pipe = join(testFolder(), 'pipe');
  spawnSync('mkfifo', [pipe]);
  const writing = spawnSync('sh', ['-c', `(echo '{"a":1}' > ${pipe}) >/dev/null 2>&1 &`]);
  expect(writing.status).toBe(0);
  expect(await read({ argsFile: pipe })).toEqual({ a: 1 });
});

describe('--set', () => {
  test('is laid over the others, JSON where it parses', async () => {
    const set = ['a=2', 'b=text', 'c={"d":[1]}', 'e=', 'f=x=y', 'g="quoted"'];
    expect(await read({ args: '{"a":1,"z":0}', set })).toEqual({
      a: 2,
      b: 'text',
      c: { d: [1] },
      e: '',
      f: 'x=y',
      g: 'quoted',
      z: 0,
    });
  });

  test('makes a key like every other of `__proto__`, which the call then refuses', async () => {
    const value = (await read({ set: ['__proto__={"admin":true}'] })) as { admin?: boolean };
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(value.admin).toBeUndefined();
  });

  test('steps into objects at dots, and not at those behind a backslash', async () => {
    const set = ['a.b=1', 'a.c.d="x"', 'v1\\.2=3', 'p\\\\.q=4', 'o.z=5', 'tail\\=6'];
    expect(await read({ args: '{"a":{"k":0,"b":9},"o":{"y":1}}', set })).toEqual({
      a: { k: 0, b: 1, c: { d: 'x' } },
      'v1.2': 3,
      'p\\': { q: 4 },
      o: { y: 1, z: 5 },
      'tail\\': 6,
    });
  });

  test('steps into no prototype', async () => {
    const set = ['__proto__.polluted=1', 'constructor.prototype.polluted=1', 'toString.x=1'];
    const value = (await read({ set })) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(JSON.stringify(value)).toBe(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":{"x":1}}',
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test.each(['a.=1', '.a=1', 'a..b=1', '.=1', `${'a.'.repeat(100)}a=1`])(
    'refuses the key of %j',
    async (setting) => {
      await expect(read({ set: [setting] })).rejects.toMatchObject({ code: 'ENF_CLI_USAGE' });
    },
  );

  test('steps into no text and no list', async () => {
    await expect(read({ args: '{"a":"x"}', set: ['a.b=1'] })).rejects.toThrow('at each step');
    await expect(read({ args: '{"a":[]}', set: ['a.0=1'] })).rejects.toThrow('at each step');
  });

  test.each(['a', '=1', ''])('refuses %j', async (setting) => {
    await expect(read({ set: [setting] })).rejects.toThrow('takes key=value');
  });

  test('needs an object to lie over', async () => {
    await expect(read({ args: '[1]', set: ['a=1'] })).rejects.toThrow(
      'are an object, at each step',
    );
    await expect(read({ args: 'null', set: ['a=1'] })).rejects.toThrow(
      'are an object, at each step',
    );
  });
});

describe('what cannot be arguments', () => {
  test.each<[string, ArgumentOptions, string | Buffer, string]>([
    ['no JSON', { args: '{a:1}' }, '', '`--args` must be JSON'],
    ['nothing', { args: '' }, '', '`--args` must be JSON'],
    ['no JSON on standard input', { args: '-' }, '', 'standard input must be JSON'],
    [
      'invalid UTF-8',
      { args: '-' },
      Buffer.from([0x22, 0xff, 0x22]),
      'standard input must be UTF-8',
    ],
    ['two sources', { args: '{}', argsFile: 'x' }, '', 'not both'],
    ['a file that is not there', { argsFile: 'missing.json' }, '', '(ENOENT)'],
    ['a folder', { argsFile: '.' }, '', '(EISDIR)'],
    ['a device without end', { argsFile: '/dev/zero' }, '', 'is larger than 67108864 bytes'],
  ])('is %s', async (_kind, options, stdin, message) => {
    const cwd = testFolder();
    mkdirSync(join(cwd, 'folder'));
    await expect(read(options, { cwd, stdin })).rejects.toMatchObject({
      code: 'ENF_CLI_USAGE',
      message: expect.stringContaining(message),
    });
  });

  test('is never quoted in the message', async () => {
    await expect(read({ args: '{"password":"hunter2",}' })).rejects.toThrow(/^(?!.*hunter2)/);
  });
});
