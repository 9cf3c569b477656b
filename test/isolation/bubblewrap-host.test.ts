import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FilesystemRules } from '../../src/call.ts';
import { bubblewrapArguments } from '../../src/isolation/bubblewrap.ts';
import { MountPoints } from '../../src/isolation/bubblewrap-mount-points.ts';
import { buildFilesystemView } from '../../src/isolation/filesystem-view.ts';
import { bubblewrapWorks, isRoot, lacks, ordinaryUser } from './host-layers.ts';
import { type Finished, startBubblewrap } from './start-bubblewrap.ts';

const FIRST = 6;
const NODE = realpathSync(process.execPath);
const SETPRIV = '/usr/bin/setpriv';
const DROP = [
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--bounding-set=-all',
  '--inh-caps=-all',
];
const SUPERVISORS = [
  { name: 'an ordinary user', root: false, skip: lacks('bwrap', bubblewrapWorks()) },
  { name: 'root', root: true, skip: lacks('root', isRoot) || lacks('bwrap', bubblewrapWorks()) },
];

describe.each(SUPERVISORS)('a sandbox started by $name', ({ root, skip }) => {
  let folder = '';
  const points = new MountPoints();

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'view-')));
    write('app/package.json', '{"type":"module"}');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Writes a file that belongs to the user who starts the sandbox. */
  function write(name: string, text: string): string {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    own();
    return path;
  }
  function link(target: string, name: string): void {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(target, join(folder, name));
    own();
  }
  /** Also what a sandbox of root may use, once the launcher has changed the user. */
  function own(): void {
    if (!isRoot) return;
    spawnSync('chown', ['-hR', `${ordinaryUser.uid}:${ordinaryUser.gid}`, folder]);
    chmodSync(folder, 0o755);
  }

  const view = (entry: string, rules: Partial<FilesystemRules> = {}) =>
    buildFilesystemView({
      entry,
      kind: 'module',
      rules: { read: [], write: [], deny: [], execute: [], ...rules },
      tier: 'isolated',
      profile: 'strict',
      nodePath: NODE,
      runtimeDir: realpathSync('dist/src'),
      home: '/nobody',
      protectedPaths: [],
      scratch: '/scratch',
    });

  /** Runs a module in the view it has. As root, setpriv stands in for the launcher inside. */
  async function run(
    entry: string,
    rules: Partial<FilesystemRules> = {},
    computed = view(entry, rules),
  ): Promise<Finished> {
    const user = root
      ? { uid: 0, gid: 0, droppedInside: true }
      : { ...ordinaryUser, droppedInside: false };
    const launch = bubblewrapArguments({
      view: root ? { ...computed, read: [...computed.read, SETPRIV] } : computed,
      scratch: { path: '/scratch', bytes: 1_048_576 },
      user,
      network: 'none',
      sockets: [],
      firstDescriptor: FIRST,
      command: root ? [SETPRIV, ...DROP, NODE, entry] : [NODE, entry],
    });
    const release = points.hold(computed.masks);
    const finished = await startBubblewrap(launch, FIRST, root || !isRoot ? {} : ordinaryUser);
    release();
    return finished;
  }
  /** What a tool printed, as JSON; its error output when it failed. */
  async function result(body: string, rules: Partial<FilesystemRules> = {}): Promise<unknown> {
    const entry = write(
      'app/tool.mjs',
      `import fs from 'node:fs'; import net from 'node:net'; import { spawn } from 'node:child_process';
       const attempt = async (f) => { try { return (await f()) ?? 'done' } catch (e) { return e.code ?? e.message } };
       const folder = ${JSON.stringify(folder)};
       console.log(JSON.stringify(await (async () => { ${body} })()));`,
    );
    const { stdout, stderr } = await run(entry, rules);
    return stdout === '' ? stderr : JSON.parse(stdout);
  }

  test.skipIf(skip)(
    'runs a tool of a pnpm workspace, of an npx install and a linked package',
    async () => {
      const store = 'ws/node_modules/.pnpm';
      write('ws/package.json', '{}');
      write('ws/.env', 'KEY');
      write('ws/packages/app/package.json', '{"type":"module"}');
      write(
        'ws/packages/lib/package.json',
        '{"name":"@ws/lib","type":"module","exports":"./i.js"}',
      );
      write('ws/packages/lib/i.js', 'import deep from "deep"; export default "lib+" + deep');
      write(
        `${store}/deep@1/node_modules/deep/package.json`,
        '{"type":"module","exports":"./i.js"}',
      );
      write(
        `${store}/deep@1/node_modules/deep/i.js`,
        'import dep from "dep"; export default "deep+" + dep',
      );
      write(`${store}/dep@1/node_modules/dep/package.json`, '{"exports":"./i.js"}');
      write(`${store}/dep@1/node_modules/dep/i.js`, 'module.exports = "dep"');
      link('../../dep@1/node_modules/dep', `${store}/deep@1/node_modules/dep`);
      link(
        '../../../node_modules/.pnpm/deep@1/node_modules/deep',
        'ws/packages/lib/node_modules/deep',
      );
      link('../../../lib', 'ws/packages/app/node_modules/@ws/lib');
      write('dev/linked/package.json', '{"type":"module","exports":"./i.js"}');
      write('dev/linked/i.js', 'export default "linked"');
      link(join(folder, 'dev/linked'), 'global/lib/node_modules/linked');
      link(join(folder, 'global/lib/node_modules/linked'), 'ws/packages/app/node_modules/linked');
      const tool = write(
        'ws/packages/app/tool.js',
        `import lib from '@ws/lib'; import linked from 'linked'; import fs from 'node:fs';
       let env; try { env = fs.readFileSync('../../.env') } catch (e) { env = e.code }
       console.log(JSON.stringify([lib, linked, env]))`,
      );
      const workspace = await run(tool);
      expect(workspace.stderr).toBe('');
      expect(JSON.parse(workspace.stdout)).toEqual(['lib+deep+dep', 'linked', 'ENOENT']);

      write('npx/abc/node_modules/dep/package.json', '{"exports":"./i.js"}');
      write('npx/abc/node_modules/dep/i.js', 'module.exports = "dep"');
      write('npx/abc/node_modules/tool/package.json', '{"type":"module"}');
      const cli = write(
        'npx/abc/node_modules/tool/cli.js',
        'import dep from "dep"; console.log(dep)',
      );
      expect((await run(cli)).stdout).toBe('dep\n');
    },
  );

  test.skipIf(skip)('runs a package with a native module', async () => {
    const shipped = readdirSync('node_modules', { recursive: true, encoding: 'utf8' }).find(
      (name) => name.endsWith('.node') && name.includes('linux') && !name.includes('musl'),
    );
    expect(shipped, 'a development dependency with a native module').toBeDefined();
    write('app/package.json', '{}');
    spawnSync('cp', [join('node_modules', shipped ?? ''), join(folder, 'app/native.node')]);
    own();
    const tool = write('app/t.js', 'console.log(typeof require("./native.node"))');
    expect(await run(tool)).toMatchObject({ stdout: 'object\n', stderr: '' });
  });

  test.skipIf(skip)('shows no file, process, environment or name of the host', async () => {
    write('app/.env', 'KEY');
    write('other/secret.txt', 'KEY');
    // Positive control: the same reads succeed outside.
    expect(readFileSync(join(folder, 'app/.env'), 'utf8')).toBe('KEY');
    expect(readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length).toBeGreaterThan(3);
    expect(
      await result(`return [
        await attempt(() => fs.readFileSync(folder + '/app/.env', 'utf8')),
        await attempt(() => fs.readFileSync(folder + '/other/secret.txt', 'utf8')),
        await attempt(() => fs.readFileSync('/etc/shadow', 'utf8')),
        await attempt(() => fs.readFileSync('/proc/self/root/etc/shadow', 'utf8')),
        await attempt(() => fs.readFileSync('/proc/1/environ', 'utf8').replaceAll('\\0', '')),
        Object.keys(process.env),
        fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).length <= 3,
        fs.readFileSync('/etc/passwd', 'utf8').split(':')[0],
        await attempt(() => fs.readdirSync('/proc/1/fd').filter((fd) => {
          try { return fs.statSync('/proc/1/fd/' + fd).isDirectory() } catch { return false }
        }).length),
      ]`),
    ).toEqual([
      ...['ENOENT', 'ENOENT', 'ENOENT', 'ENOENT'],
      root ? 'EACCES' : '',
      ['PWD'],
      true,
      'tool',
      root ? 'EACCES' : 0,
    ]);
  });

  test.skipIf(skip)('leaves the kernel’s settings and the new root read-only', async () => {
    const results = await result(`
      const paths = ['/x', '/etc/x', '/dev/x', '/dev/shm/x', '/usr/lib/x', folder + '/app/x',
        '/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches'];
      return await Promise.all(paths.map((path) => attempt(() => fs.writeFileSync(path, '1'))));`);
    for (const outcome of results as string[])
      expect(['EROFS', 'EACCES', 'EPERM']).toContain(outcome);
    expect(await result(`return attempt(() => fs.writeFileSync('/dev/null', '1'))`)).toBe('done');
  });

  test.skipIf(skip)('gives a scratch folder of its own, as large as was said', async () => {
    expect(
      await result(`return [
        process.cwd(),
        await attempt(() => fs.writeFileSync('a', Buffer.alloc(500_000))),
        await attempt(() => fs.writeFileSync('b', Buffer.alloc(1_000_000))),
      ]`),
    ).toEqual(['/scratch', 'done', 'ENOSPC']);
    expect(existsSync('/scratch')).toBe(false);
  });

  test.skipIf(skip)('reaches no listener of the host, not even on loopback', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = (server.address() as { port: number }).port;
    const connect = `await attempt(() => new Promise((resolve, reject) =>
      net.connect(${port}, '127.0.0.1', () => resolve('connected')).on('error', reject)))`;
    expect(await result(`return ${connect}`)).toBe('ECONNREFUSED');
    expect(connections).toBe(0);
    const control = spawnSync(process.execPath, [
      '-e',
      `require('net').connect(${port}, '127.0.0.1', () => process.exit(7))`,
    ]);
    server.close();
    // Positive control: the kernel accepts the same connection from outside a sandbox.
    expect(control.status).toBe(7);
  });

  test.skipIf(skip)('ends with everything that was started in it', async () => {
    const marker = `${9_000_000 + process.pid}`;
    const alive = () =>
      readdirSync('/proc').filter((pid) => {
        try {
          return (
            /^\d+$/.test(pid) &&
            readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker) &&
            !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
          );
        } catch {
          return false;
        }
      }).length;
    const rules = { execute: ['/usr/bin'], read: ['/usr/bin'] };
    const daemon = `for (let i = 0; i < 5; i++)
      spawn('/usr/bin/setsid', ['/usr/bin/sleep', '${marker}'], { detached: true, stdio: 'ignore' }).unref();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).length > 5;`;
    // Positive control: inside, the daemons did run.
    expect(await result(daemon, rules)).toBe(true);
    // bwrap reports the end of the command a moment before its pid 1 takes the rest along.
    await expect.poll(alive, { timeout: 1000 }).toBe(0);
  });

  describe('with a writable repository', () => {
    const rules = () => ({ write: [join(folder, 'repo')] });

    beforeEach(() => {
      write('repo/.git/config', '[core]');
      write('repo/.git/hooks/sample', '');
      write('repo/code.txt', 'code');
    });

    test.skipIf(skip)(
      'lets the tool change the work and nothing that others would run',
      async () => {
        expect(
          await result(
            `const repo = folder + '/repo/';
          return [
            await attempt(() => fs.writeFileSync(repo + 'code.txt', 'changed')),
            await attempt(() => fs.writeFileSync(repo + '.git/index', 'x')),
            fs.readFileSync(repo + '.git/config', 'utf8'),
            await attempt(() => fs.writeFileSync(repo + '.git/config', 'evil')),
            await attempt(() => fs.writeFileSync(repo + '.git/hooks/pre-commit', 'evil')),
            await attempt(() => fs.renameSync(repo + '.git', repo + '.git2')),
            await attempt(() => fs.renameSync(repo + '.git/hooks', repo + '.git/hooks2')),
            await attempt(() => fs.rmSync(repo + '.git/config')),
            await attempt(() => fs.writeFileSync(repo + '.mcp.json', 'evil')),
            await attempt(() => fs.mkdirSync(repo + '.vscode')),
            await attempt(() => fs.writeFileSync(repo + '.vscode/tasks.json', 'evil')),
            await attempt(() => fs.symlinkSync('/etc/passwd', repo + '.bashrc')),
          ];`,
            rules(),
          ),
        ).toEqual([
          ...['done', 'done', '[core]', 'EROFS', 'EROFS', 'EBUSY', 'EBUSY', 'EBUSY'],
          expect.stringMatching(/EACCES|EROFS/),
          'EEXIST',
          'EROFS',
          'EEXIST',
        ]);
        expect(readFileSync(join(folder, 'repo/code.txt'), 'utf8')).toBe('changed');
        expect(readFileSync(join(folder, 'repo/.git/config'), 'utf8')).toBe('[core]');
        expect(readdirSync(join(folder, 'repo/.git/hooks'))).toEqual(['sample']);
        expect(readdirSync(join(folder, 'repo')).sort()).toEqual(['.git', 'code.txt']);
      },
    );

    test.skipIf(skip)(
      'hides what the policy denies, and the way to it cannot be renamed',
      async () => {
        write('repo/a/b/key', 'KEY');
        const outcome = await result(
          `const repo = folder + '/repo/';
         return [
           await attempt(() => fs.readFileSync(repo + 'a/b/key', 'utf8')),
           await attempt(() => fs.renameSync(repo + 'a', repo + 'c')),
           await attempt(() => fs.renameSync(repo + 'a/b', repo + 'c')),
           await attempt(() => fs.rmSync(repo + 'a/b/key')),
         ]`,
          { ...rules(), deny: [join(folder, 'repo/a/b/key')] },
        );
        expect(outcome).toEqual(['EACCES', 'EBUSY', 'EXDEV', 'EBUSY']);
        expect(readFileSync(join(folder, 'repo/a/b/key'), 'utf8')).toBe('KEY');
      },
    );
  });
});
