import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Confinement } from '../../src/call.ts';
import { probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import type { Job, RunReport } from '../../src/isolation/runner.ts';
import { probeMappedOwners } from '../../src/isolation/write-path-probe.ts';
import { tool } from '../escape/attempt.ts';
import { confinement, makeJob } from '../fixtures/job.ts';
import { isRoot, lacks } from './host-layers.ts';

// A root supervisor's tools run as nobody, and still write in the name of the owner of a folder.
// Whoever attacks here has exactly that: the owner's files in that folder, and nothing else.

const OWNER = 1000;
const OTHER = 1001;
const SETS = 0o6000;

const host = await probeLinuxHost();
if ('cause' in host) throw new Error(host.cause);
const { launcher, identities, bubblewrap } = host;

const TIERS = (['hardened', 'isolated'] as const).map((tier) => ({
  tier,
  skip:
    lacks('root', isRoot) ||
    (tier === 'isolated' && lacks('bwrap', typeof bubblewrap === 'string')),
}));

describe.each(TIERS)('$tier, under a root supervisor', ({ tier, skip }) => {
  const runner = new LinuxRunner(tier, host);
  let folder = '';
  let out = '';
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'owned-')));
    chmodSync(folder, 0o755);
    out = make('out', OWNER);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  afterAll(() => runner.close());

  function make(name: string, owner: number, mode = 0o755): string {
    const path = join(folder, name);
    mkdirSync(path);
    chmodSync(path, mode);
    chownSync(path, owner, owner);
    return path;
  }
  function put(path: string, text: string, owner: number, mode = 0o600): string {
    writeFileSync(path, text);
    chmodSync(path, mode);
    chownSync(path, owner, owner);
    return path;
  }

  async function run(
    code: string,
    write: readonly string[] = [out],
    change: Partial<Confinement> = {},
  ): Promise<RunReport> {
    return runner.run(await job(code, write, change));
  }
  async function job(
    code: string,
    write: readonly string[],
    change: Partial<Confinement> = {},
  ): Promise<Job> {
    const base = await makeJob(tool('run-code.mjs'), { code, out, folder, token: 'none' });
    const { filesystem, isolation } = confinement();
    return {
      ...base,
      confinement: {
        ...base.confinement,
        network: 'none',
        isolation: { ...isolation, profile: 'strict', exec: 'none' },
        ...change,
        filesystem: { ...filesystem, write, ...change.filesystem },
      },
    };
  }
  const owners = (path: string): readonly string[] => {
    const { uid, gid } = lstatSync(path);
    const inner = lstatSync(path).isDirectory() ? readdirSync(path) : [];
    return [`${uid}:${gid}`, ...inner.flatMap((name) => owners(join(path, name)))];
  };
  /** Tries each line, and tells what came of it: `done`, or the code of the error. */
  const each = (...lines: readonly string[]): string =>
    `const said = []; for (const f of [${lines.map((line) => `() => { ${line} }`).join(', ')}])
       try { f(); said.push('done') } catch (error) { said.push(error.code ?? error.message) }
     return said`;
  const said = async (...call: Parameters<typeof run>): Promise<readonly string[]> => {
    const { end } = await run(...call);
    if (end.status !== 'ok') throw new Error(JSON.stringify(end));
    return end.value as readonly string[];
  };

  test.skipIf(skip).each([
    ['an ordinary user', OWNER, OWNER],
    ['root', 0, 0],
    ['a group of its own', OWNER, 50],
    ['nobody', 65_534, 65_534],
  ])('files land as the owner of the folder: %s', async (_who, uid, gid) => {
    chownSync(out, uid, gid);
    const code = `fs.mkdirSync(a.out + '/sub'); fs.writeFileSync(a.out + '/sub/file', 'text');
      fs.symlinkSync('file', a.out + '/sub/link'); fs.writeFileSync(a.out + '/old', 'new');
      return [fs.statSync(a.out + '/sub').uid === process.getuid(), process.getuid() > 65535]`;
    put(join(out, 'old'), 'old', uid);
    chownSync(join(out, 'old'), uid, gid);
    const { end, layers } = await run(code);
    expect(end).toEqual({ status: 'ok', value: [true, true] });
    expect(layers).toContain('mapped-owners');
    expect(new Set(owners(out))).toEqual(new Set([`${uid}:${gid}`]));
    expect(readFileSync(join(out, 'sub', 'file'), 'utf8')).toBe('text');
    expect(readFileSync(join(out, 'old'), 'utf8')).toBe('new');
  });

  test.skipIf(skip)(
    'several folders of several owners keep theirs; a file can be one',
    async () => {
      const second = make('second', OTHER);
      const third = make('third', OWNER);
      const file = put(join(folder, 'file'), 'old', 0);
      const code = `for (const name of ['out', 'second', 'third']) fs.writeFileSync(a.folder + '/' + name + '/made', name);
      fs.writeFileSync(a.folder + '/file', 'new')`;
      const { end } = await run(code, [out, second, third, file]);
      expect(end).toMatchObject({ status: 'ok' });
      const uids = ['out', 'second', 'third'].map(
        (name) => statSync(join(folder, name, 'made')).uid,
      );
      expect([...uids, statSync(file).uid]).toEqual([OWNER, OTHER, OWNER, 0]);
      expect(readFileSync(file, 'utf8')).toBe('new');
    },
  );

  test.skipIf(skip)('a policy without write paths makes no mount and no layer', async () => {
    const { layers } = await run('return 1', []);
    expect(layers).not.toContain('mapped-owners');
  });

  test.skipIf(skip)(
    'set-id bits cannot be left, under any profile, not even in folders of root',
    async () => {
      chownSync(out, 0, 0);
      chmodSync(out, 0o777);
      const code = each(
        `fs.writeFileSync(a.out + '/a', 'x', { mode: 0o4755 })`,
        `fs.writeFileSync(a.out + '/b', 'x'); fs.chmodSync(a.out + '/b', 0o6755)`,
        `fs.mkdirSync(a.out + '/c', 0o2777)`,
        `const d = fs.openSync(a.out + '/d', 'w'); fs.fchmodSync(d, 0o4755)`,
        `fs.writeFileSync(a.out + '/e', 'x'); fs.chmodSync(a.out + '/e', 0o1755)`,
      );
      for (const profile of ['strict', 'compat', 'off'] as const) {
        for (const name of readdirSync(out)) rmSync(join(out, name), { recursive: true });
        const { isolation } = confinement();
        const result = await said(code, [out], {
          isolation: { ...isolation, profile, exec: 'none' },
        });
        expect(result.slice(0, 4), profile).not.toContain('done');
        for (const name of readdirSync(out))
          expect(lstatSync(join(out, name)).mode & SETS, `${profile} ${name}`).toBe(0);
      }
    },
  );

  test.skipIf(skip)('a set-id bit of the folder is not handed to files of the tool', async () => {
    chownSync(out, OWNER, 50);
    chmodSync(out, 0o2755);
    await run(`fs.writeFileSync(a.out + '/program', '#!/bin/sh', { mode: 0o755 })`);
    expect(lstatSync(join(out, 'program')).mode & SETS).toBe(0);
  });

  test.skipIf(skip)(
    'a set-id file of the owner loses its bits when the tool writes to it',
    async () => {
      const program = put(join(out, 'program'), 'old', OWNER, 0o755);
      chmodSync(program, 0o6755);
      await run(`fs.writeFileSync(a.out + '/program', 'hostile')`);
      const { mode } = lstatSync(program);
      const text = readFileSync(program, 'utf8');
      expect(text === 'hostile' && (mode & SETS) !== 0).toBe(false);
    },
  );

  test.skipIf(skip)('no device, and no capability on a file', async () => {
    chownSync(out, 0, 0);
    // The control: root may, here.
    execFileSync('mknod', [join(out, 'control'), 'c', '1', '3']);
    // The tool has no mknod of its own: what it may rename and link is what is there.
    const { end } = await run(
      `fs.renameSync(a.out + '/control', a.out + '/moved'); fs.readFileSync(a.out + '/moved')`,
    );
    if (tier === 'isolated') expect(end).toMatchObject({ status: 'tool-error' });
    expect(readdirSync(out)).toHaveLength(1);
  });

  test.skipIf(skip)('files of others in the folder stay theirs', async () => {
    put(join(out, 'others'), 'secret', OTHER);
    put(join(out, 'roots'), 'secret', 0);
    const inner = make('out/inner', OTHER);
    const code = each(
      `fs.readFileSync(a.out + '/others')`,
      `fs.readFileSync(a.out + '/roots')`,
      `fs.writeFileSync(a.out + '/roots', 'x')`,
      `fs.chmodSync(a.out + '/others', 0o666)`,
      `fs.writeFileSync(a.out + '/inner/file', 'x')`,
      `fs.chownSync(a.out, 0, 0)`,
      `fs.writeFileSync(a.out + '/mine', 'x'); fs.chownSync(a.out + '/mine', 0, 0)`,
      `fs.chownSync(a.out + '/mine', ${OTHER}, ${OTHER})`,
      `fs.linkSync(a.out + '/others', a.out + '/linked')`,
    );
    expect(await said(code)).not.toContain('done');
    expect(readdirSync(inner)).toEqual([]);
    expect(existsSync(join(out, 'linked'))).toBe(false);
    expect(statSync(join(out, 'others'))).toMatchObject({ uid: OTHER, size: 6 });
    expect(statSync(join(out, 'mine')).uid).toBe(OWNER);
  });

  test.skipIf(skip)('files of the owner elsewhere stay out of reach', async () => {
    const beside = make('beside', OWNER);
    const secret = put(join(beside, 'secret'), 'secret', OWNER);
    const open = put(join(folder, 'open'), 'open', OWNER, 0o666);
    const code = each(
      `fs.readFileSync('${secret}')`,
      `fs.writeFileSync('${secret}', 'x')`,
      `fs.writeFileSync('${open}', 'x')`,
      `fs.linkSync('${open}', a.out + '/linked')`,
      `fs.linkSync('${secret}', a.out + '/linked')`,
      `fs.renameSync('${open}', a.out + '/moved')`,
      `fs.symlinkSync('${secret}', a.out + '/link'); fs.readFileSync(a.out + '/link')`,
      `fs.writeFileSync(a.out + '/../beside/file', 'x')`,
    );
    expect(await said(code)).not.toContain('done');
    expect(readFileSync(secret, 'utf8')).toBe('secret');
    expect(readFileSync(open, 'utf8')).toBe('open');
    expect(existsSync(join(out, 'linked'))).toBe(false);
  });

  test.skipIf(skip)('a link that a call left leads no later call, nor us, elsewhere', async () => {
    const hidden = make('hidden', OWNER);
    put(join(hidden, 'data'), 'secret', OWNER);
    await run(`fs.symlinkSync('${hidden}', a.out + '/in')`);
    expect(lstatSync(join(out, 'in')).isSymbolicLink()).toBe(true);
    const code = each(
      `fs.readFileSync(a.out + '/in/data')`,
      `fs.writeFileSync(a.out + '/in/planted', 'x')`,
    );
    expect(await said(code)).not.toContain('done');
    expect(readdirSync(hidden)).toEqual(['data']);
    const { end } = await run('return 1', [join(out, 'in')]);
    // It is a granted folder of its own now, but only what the policy says may lie there.
    expect(end).toMatchObject({ status: 'ok' });
  });

  test.skipIf(skip)(
    'a folder that became a link between two calls refuses the second',
    async () => {
      const victim = make('victim', OWNER);
      const swapped = await job(`fs.writeFileSync(a.out + '/planted', 'x')`, [out]);
      expect((await runner.run(swapped)).end).toMatchObject({ status: 'ok' });
      renameSync(out, join(folder, 'away'));
      symlinkSync(victim, out);
      const { end } = await runner.run(swapped);
      expect(end).toMatchObject({
        status: 'isolation-unavailable',
        message: expect.stringContaining(`leads to \`${victim}\` now`),
      });
      expect(readdirSync(victim)).toEqual([]);
    },
  );

  test.skipIf(skip)('a hard link of a file elsewhere is only what its owner made it', async () => {
    const target = put(join(folder, 'target'), 'old', OTHER, 0o644);
    linkSync(target, join(out, 'linked'));
    expect(await said(each(`fs.writeFileSync(a.out + '/linked', 'x')`))).not.toContain('done');
    expect(readFileSync(target, 'utf8')).toBe('old');
  });

  test.skipIf(skip)('nothing stays mounted, open or taken', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    await run('return 1');
    const before = open();
    for (let call = 0; call < 3; call += 1) await run('return 1');
    expect(open()).toBeLessThanOrEqual(before);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(folder);
  });

  test.skipIf(skip)('`explain` names the owner and shows the mapping', async () => {
    chownSync(out, OWNER, 50);
    const sections = runner.explain(await job('return 1', [out]));
    const owner = sections.find(({ title }) => title.includes('belong to'));
    expect(owner?.lines).toEqual([`${out}: uid ${OWNER}, gid 50`]);
    const rows = sections.find(({ title }) => title.startsWith('Launcher 1'))?.lines.join('\n');
    expect(rows).toContain(`map the owner of \`${out}\``);
  });

  const closed = tier === 'hardened' ? test.skipIf(skip) : test.skip;
  closed('a write path in a folder that is closed to others is refused with a remedy', async () => {
    const home = make('home', OWNER, 0o700);
    const inner = make('home/out', OWNER);
    const call = await job('return 1', [inner]);
    expect(runner.unsuited(call.target, call.confinement)).toMatchObject({
      cause: expect.stringContaining(inner),
      remedy: expect.stringContaining('o+x'),
    });
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  const opened = tier === 'isolated' ? test.skipIf(skip) : test.skip;
  opened('a write path in a folder that is closed to others works', async () => {
    make('home', OWNER, 0o700);
    const inner = make('home/out', OWNER, 0o700);
    const { end } = await run(`fs.writeFileSync('${inner}/file', 'x')`, [inner]);
    expect(end).toMatchObject({ status: 'ok' });
    expect(statSync(join(inner, 'file')).uid).toBe(OWNER);
  });

  opened(
    'a protected name that a running call makes is bound by no other call, and then is',
    async () => {
      const made = join(out, 'deep', '.npmrc');
      const first = runner.run(
        await job(
          `fs.mkdirSync(a.out + '/deep'); fs.writeFileSync(a.out + '/deep/.npmrc', 'own');
         while (!fs.existsSync(a.out + '/go')) await new Promise((resolve) => setTimeout(resolve, 10))`,
          [out],
        ),
      );
      await vi.waitFor(() => expect(existsSync(made)).toBe(true), { timeout: 20_000 });
      // Mounted over, it could be swapped for a link under the hands of bwrap.
      const write = each(`fs.writeFileSync(a.out + '/deep/.npmrc', 'second')`);
      expect(await said(write)).toEqual(['done']);
      writeFileSync(join(out, 'go'), '');
      expect((await first).end).toMatchObject({ status: 'ok' });
      expect(await said(write)).not.toContain('done');
      expect(readFileSync(made, 'utf8')).toBe('second');
    },
  );

  opened('protected names stay as they are, there or not, and hidden ones hidden', async () => {
    const hooks = join(out, '.git', 'hooks');
    make('out/.git', OWNER);
    make('out/.git/hooks', OWNER);
    put(join(out, '.git', 'config'), 'mine', OWNER, 0o644);
    put(join(out, 'token'), 'secret', OWNER);
    make('out/deep', OWNER);
    put(join(out, 'deep', '.npmrc'), 'mine', OWNER);
    const names = [
      ...['.bashrc', '.npmrc', '.mcp.json', '.envrc', '.gitconfig', '.vscode/tasks.json'],
      ...['.claude/settings.json', '.husky/pre-commit', '.git/hooks/pre-commit', '.git/config'],
      'deep/.npmrc',
    ];
    const plant = names.map(
      (name) =>
        `fs.mkdirSync('${dirname(join(out, name))}', { recursive: true }); fs.writeFileSync('${join(out, name)}', 'planted')`,
    );
    const code = each(
      ...plant,
      `fs.renameSync(a.out + '/.git', a.out + '/git')`,
      `fs.renameSync(a.out + '/deep', a.out + '/other')`,
      `fs.rmSync(a.out + '/.npmrc')`,
      `fs.symlinkSync('/tmp', a.out + '/.vscode')`,
      `fs.linkSync(a.out + '/.git/config', a.out + '/config')`,
      `if (!fs.readFileSync(a.out + '/token').includes('secret')) throw new Error('hidden')`,
    );
    const filesystem = { ...confinement().filesystem, write: [out], deny: [join(out, 'token')] };
    expect(await said(code, [out], { filesystem })).not.toContain('done');
    expect(readdirSync(hooks)).toEqual([]);
    expect(readFileSync(join(out, '.git', 'config'), 'utf8')).toBe('mine');
    expect(readFileSync(join(out, 'deep', '.npmrc'), 'utf8')).toBe('mine');
    expect(readFileSync(join(out, 'token'), 'utf8')).toBe('secret');
    // The mount points of names that did not exist are gone again.
    expect(readdirSync(out).toSorted()).toEqual(['.git', 'deep', 'token']);
  });
});

describe.skipIf(lacks('root', isRoot))('the probe of owners', () => {
  if (identities === null) return;
  test('makes a file as somebody else and looks whose it is', async () => {
    expect(await probeMappedOwners(launcher, identities)).toMatchObject({
      layer: 'mapped-owners',
      works: true,
    });
  });

  test('says why not, where nothing can be mapped', async () => {
    const broken = { ...launcher, path: '/bin/false' };
    expect(await probeMappedOwners(broken, identities)).toMatchObject({
      works: false,
      cause: expect.stringContaining('cannot be mapped'),
      remedy: expect.stringContaining('as the owner'),
    });
  });
});
