import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ToolTarget } from '../../src/call.ts';
import {
  checkTarget,
  type DigestCache,
  defaultToolName,
  resolveTarget,
} from '../../src/isolation/tool-target.ts';

let cwd: string;
beforeAll(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'target-test-')));
  writeFileSync(join(cwd, 'tool.mjs'), 'export default () => 1;\n');
  writeFileSync(join(cwd, 'script.sh'), '#!/bin/sh\necho 1\n');
  writeFileSync(join(cwd, 'plain'), 'no program\n', { mode: 0o644 });
  chmodSync(join(cwd, 'script.sh'), 0o755);
  mkdirSync(join(cwd, 'folder'));
  symlinkSync('tool.mjs', join(cwd, 'link.mjs'));
  symlinkSync('loop', join(cwd, 'loop'));
});
afterAll(() => rmSync(cwd, { recursive: true }));

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const resolve = (target: ToolTarget, digests: DigestCache = new Map()) =>
  resolveTarget(target, { cwd, searchPath: `relative:${cwd}:/usr/bin:/bin`, digests });

describe('modules', () => {
  test('are found from the working directory and hashed', async () => {
    const path = join(cwd, 'tool.mjs');
    expect(await resolve('./tool.mjs')).toEqual({
      kind: 'module',
      module: path,
      identity: { kind: 'module', path, sha256: sha256('export default () => 1;\n') },
    });
  });

  test('keep the name of their export', async () => {
    const target = await resolve({ module: 'tool.mjs', export: 'go' });
    expect(target).toMatchObject({ export: 'go', identity: { export: 'go' } });
  });

  test('are known by their real path', async () => {
    const target = await resolve('link.mjs');
    expect(target.identity.path).toBe(join(cwd, 'tool.mjs'));
  });

  test.each([
    ['missing.mjs', 'does not exist; give the path of its file'],
    ['tool.mjs/below', 'does not exist'],
    ['folder', 'is not a regular file'],
    ['/dev/null', 'is not a regular file'],
    ['loop', 'cannot be read (ELOOP)'],
    ['x'.repeat(5000), 'cannot be read (ENAMETOOLONG)'],
  ])('are refused as %s', async (path, why) => {
    await expect(resolve(path)).rejects.toMatchObject({
      code: 'ENF_CALL_TARGET',
      message: expect.stringContaining(why),
    });
  });

  test.skipIf(process.getuid?.() === 0)('are refused when they may not be read', async () => {
    writeFileSync(join(cwd, 'secret.mjs'), '', { mode: 0 });
    await expect(resolve('secret.mjs')).rejects.toThrow('is not readable here');
  });

  const isLinux = process.platform === 'linux';
  test.skipIf(!isLinux)('are refused when reading them fails after all', async () => {
    // Opens like a file, and every read of it is an I/O error.
    await expect(resolve('/proc/self/mem')).rejects.toMatchObject({
      code: 'ENF_CALL_TARGET',
      message: expect.stringMatching(/^the tool `\/proc\/\d+\/mem` cannot be read \(EIO\)$/),
    });
  });
});

describe('commands', () => {
  test('are looked up in the search path, its relative folders left out', async () => {
    const target = await resolve({ command: ['sh', '-c', 'echo $0', 'tool.mjs'] });
    expect(target).toMatchObject({ kind: 'command', program: realpathSync('/bin/sh') });
    expect(target).toMatchObject({ args: ['-c', 'echo $0', 'tool.mjs'] });
    expect(target).not.toHaveProperty('script');
  });

  test('are taken by their path', async () => {
    const target = await resolve({ command: ['./script.sh', 'tool.mjs'] });
    const path = join(cwd, 'script.sh');
    expect(target).toMatchObject({ program: path, args: ['tool.mjs'], identity: { path } });
  });

  test('of an interpreter are known by the script it runs', async () => {
    const target = await resolve({ command: ['sh', '-e', 'script.sh', 'script.sh'] });
    const script = join(cwd, 'script.sh');
    expect(target).toMatchObject({
      script,
      args: ['-e', script, 'script.sh'],
      identity: { kind: 'command', path: script, sha256: sha256('#!/bin/sh\necho 1\n') },
    });
  });

  test('of an interpreter without a script are known by the interpreter', async () => {
    for (const command of [['sh'], ['sh', '-s'], ['sh', 'no-such-file']] as const) {
      const target = await resolve({ command: [...command] });
      expect(target).not.toHaveProperty('script');
      expect(target.identity.path).toBe(realpathSync('/bin/sh'));
    }
  });

  test.each([
    [['no-such-program-anywhere'], 'not an executable file in PATH; give its path or install it'],
    [['./plain'], 'is not executable here'],
    [['./folder'], 'is not a regular file'],
    [['../missing'], 'does not exist'],
    [['relative'], 'not an executable file in PATH'],
  ] as const)('are refused as %o', async (command, why) => {
    await expect(resolve({ command: [...command] })).rejects.toMatchObject({
      code: 'ENF_CALL_TARGET',
      message: expect.stringContaining(why),
    });
  });
});

describe('digests', () => {
  test('are remembered, and taken anew when the file changed', async () => {
    const path = join(cwd, 'changing.mjs');
    const digests: DigestCache = new Map();
    writeFileSync(path, 'one');
    expect((await resolve(path, digests)).identity.sha256).toBe(sha256('one'));
    expect((await resolve(path, digests)).identity.sha256).toBe(sha256('one'));
    expect(digests.size).toBe(1);
    writeFileSync(path, 'two');
    expect((await resolve(path, digests)).identity.sha256).toBe(sha256('two'));
  });

  test('are bounded in number', async () => {
    const digests: DigestCache = new Map(Array.from({ length: 1024 }, (_, n) => [`${n}`, 'x']));
    await resolve('tool.mjs', digests);
    expect(digests.size).toBe(1);
  });
});

describe('checkTarget', () => {
  test.each([
    [undefined],
    [null],
    [5],
    [''],
    ['a\0b'],
    [[]],
    [['sh']],
    [{}],
    [{ module: 5 }],
    [{ module: '' }],
    [{ module: 'a\0b' }],
    [{ module: 'a', export: 5 }],
    [{ module: 'a', export: '' }],
    [{ module: 'a', exprot: 'b' }],
    [{ command: [] }],
    [{ command: 'sh' }],
    [{ command: [''] }],
    [{ command: ['sh', 5] }],
    [{ command: ['sh', 'a\0b'] }],
    [{ module: 'a', command: ['sh'] }],
    [() => 1],
  ])('refuses %o', (target) => {
    expect(() => checkTarget(target)).toThrow(
      expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
    );
  });

  test('holds before anything is looked up', async () => {
    await expect(resolve({ command: ['sh', 'a\0b'] })).rejects.toThrow('without NUL');
  });
});

test.each<[ToolTarget, string]>([
  ['./tools/fetch-page.js', 'fetch-page'],
  ['tool', 'tool'],
  ['.hidden', '.hidden'],
  [{ module: '/a/b.c.mjs', export: 'x' }, 'b.c'],
  [{ command: ['/usr/bin/python3', 'x.py'] }, 'python3'],
  [{ command: ['node.exe'] }, 'node.exe'],
])('names %o for the policy', (target, name) => {
  expect(defaultToolName(target)).toBe(name);
});
