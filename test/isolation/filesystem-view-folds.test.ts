import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FilesystemRules } from '../../src/call.ts';
import { foldMounts } from '../../src/isolation/filesystem-view-folds.ts';
import { probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import type { Job } from '../../src/isolation/runner.ts';
import { tool } from '../escape/attempt.ts';
import { confinement, makeJob } from '../fixtures/job.ts';
import { requireLayer } from '../fixtures/require-layer.ts';
import { fakeFiles } from './fake-files.ts';

describe('the mounts of a package that is granted in parts', () => {
  const FILES = fakeFiles({
    '/app/a.js': '',
    '/app/b.js': '',
    '/app/c/d.js': '',
    '/app/c/.env': '',
    '/app/.git/config': '',
    '/app/key.pem': '',
    '/lib/x.so': '',
  });
  const PARTS = ['/app/a.js', '/app/b.js', '/app/c/d.js', '/app/package.json', '/app/e.js'];
  const FOLD = { folder: '/app', hidden: ['/app/c/.env', '/app/.git', '/app/key.pem'] };
  const fold = (
    view: Partial<Parameters<typeof foldMounts>[0]> = {},
    isOpen: (folder: string) => boolean = () => true,
  ) => {
    const all = { read: ['/lib', ...PARTS], write: [], execute: [], folds: [FOLD], ...view };
    return foldMounts(all, FILES, isOpen);
  };

  test('are one for the package and one over each hidden name', () => {
    expect(fold()).toEqual({
      read: ['/lib', '/app'],
      masks: [
        { path: '/app/c/.env', effect: 'hide', kind: 'file', exists: true },
        { path: '/app/.git', effect: 'hide', kind: 'folder', exists: true },
        { path: '/app/key.pem', effect: 'hide', kind: 'file', exists: true },
      ],
    });
  });

  test.each([
    ['that would not be fewer', { read: ['/lib', ...PARTS.slice(0, 4)] }],
    ['where a part of something hidden is granted', { write: ['/app/.git/objects'] }],
  ])('stay as they are %s', (_when, view) => {
    const { read, masks } = fold(view);
    expect(read).not.toContain('/app');
    expect(masks).toEqual([]);
  });

  test('stay as they are where the user could not enter a folder', () => {
    for (const closed of ['/app', '/app/c'])
      expect(fold({}, (folder) => folder !== closed).read).not.toContain('/app');
  });

  test('leave open what the policy grants by name', () => {
    const { read, masks } = fold({ read: ['/lib', ...PARTS, '/app/key.pem'] });
    expect(read).toEqual(['/lib', '/app']);
    expect(masks.map(({ path }) => path)).toEqual(['/app/c/.env', '/app/.git']);
    const execute = fold({ execute: ['/app/.git'] });
    expect(execute.masks.map(({ path }) => path)).toEqual(['/app/c/.env', '/app/key.pem']);
  });
});

const host = await probeLinuxHost();
if ('cause' in host) throw new Error(host.cause);
if (typeof host.bubblewrap !== 'string') requireLayer('bwrap');

describe.skipIf(typeof host.bubblewrap !== 'string')('a package with many secrets', () => {
  const runner = new LinuxRunner('isolated', host);
  const secret = 'sk-canary-of-a-secret';
  let folder = '';
  let plain = 0;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'folded-')));
    chmodSync(folder, 0o755);
    put('package.json', '{"type":"module"}');
    put('tool.mjs', readFileSync(tool('run-code.mjs'), 'utf8'));
    plain = 30;
    for (let n = 0; n < plain; n += 1) put(`src/deep${n % 3}/file${n}.mjs`, `export default ${n}`);
    for (let n = 0; n < 3; n += 1) put(`src/deep${n}/.env`, secret);
    for (const name of ['.env', '.git/config', 'db.key', 'secrets/all', 'src/my-secret.json'])
      put(name, secret);
    symlinkSync('/etc/passwd', join(folder, '.link'));
    symlinkSync(join(folder, '.env'), join(folder, 'env'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  afterAll(() => runner.close());

  function put(name: string, text: string): string {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }
  async function job(code: string, rules: Partial<FilesystemRules> = {}): Promise<Job> {
    const base = await makeJob(join(folder, 'tool.mjs'), { code, folder, token: 'none' });
    const { filesystem, isolation } = confinement();
    return {
      ...base,
      confinement: {
        ...base.confinement,
        network: 'none',
        filesystem: { ...filesystem, ...rules },
        isolation: { ...isolation, profile: 'strict', exec: 'none' },
      },
    };
  }
  const READ_ALL = `const names = ['.env', '.git/config', 'db.key', 'secrets/all', 'src/my-secret.json', 'src/deep1/.env', 'env', '.link'];
    const read = []; for (const name of names) try { read.push(fs.readFileSync(a.folder + '/' + name, 'utf8')) } catch (error) { read.push(error.code) }`;

  test('is mounted as one, and no secret of it can be read, seen or listed', async () => {
    const plan = runner.explain(await job('return 1'));
    const rows = plan.find(({ title }) => title === 'Launcher 1 of 2')?.lines.join('\n') ?? '';
    expect(rows).toContain(`open \`${folder}\` without`);
    expect(rows).not.toContain(`open \`${folder}/src/deep0/file0.mjs\``);
    const { end } = await runner.run(
      await job(`${READ_ALL}; return [read, fs.statSync(a.folder + '/db.key').size]`),
    );
    expect(end).toMatchObject({ status: 'ok' });
    expect(JSON.stringify(end)).not.toContain(secret);
    expect(JSON.stringify(end)).not.toContain('root:');
    // Its size is not the secret's either.
    expect(end).toHaveProperty('value.1', 0);
  });

  test('works: its modules are found', async () => {
    const code = `let sum = 0; for (let n = 0; n < ${plain}; n += 1) sum += (await import(a.folder + '/src/deep' + n % 3 + '/file' + n + '.mjs')).default; return sum`;
    const { end } = await runner.run(await job(code));
    expect(end).toEqual({ status: 'ok', value: (plain * (plain - 1)) / 2 });
  });

  test('keeps them closed when they are replaced while the tool runs', async () => {
    const fresh = put('fresh', secret);
    let announce: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      announce = resolve;
    });
    const code = `let read = '';
      for (let n = 0; n < 60; n += 1) { try { read = fs.readFileSync(a.folder + '/.env', 'utf8'); break } catch (error) { read = error.code }
        await new Promise((resolve) => setTimeout(resolve, 25)) } return read`;
    const base = await job(code);
    const running = runner.run(base).finally(announce);
    // Replaced over and over, so that it also happens after the mount was made.
    const replacing = setInterval(() => {
      writeFileSync(fresh, secret);
      renameSync(fresh, join(folder, '.env'));
    }, 20);
    await asked;
    clearInterval(replacing);
    const { end } = await running;
    // A name that vanished at the wrong moment refuses the call, which is closed, too.
    expect(JSON.stringify(end)).not.toContain(secret);
    expect(['ok', 'isolation-unavailable']).toContain(end.status);
  });

  test('opens the one that the policy names', async () => {
    const rules = { read: [join(folder, 'db.key')] };
    const { end } = await runner.run(await job(`${READ_ALL}; return read`, rules));
    expect(end).toHaveProperty('value.2', secret);
    expect(JSON.stringify(end).split(secret)).toHaveLength(2);
  });

  test('is granted in parts where the policy denies something in it', async () => {
    const rules = { deny: [join(folder, 'src', 'deep1')] };
    const { end } = await runner.run(
      await job(
        `try { return fs.readFileSync(a.folder + '/src/deep1/file1.mjs', 'utf8') } catch (error) { return error.code }`,
        rules,
      ),
    );
    expect(end).toMatchObject({ status: 'ok', value: expect.stringMatching(/^E/) });
  });
});
