import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeLaunchTable } from '../../src/isolation/launch-table.ts';
import { buildKillRows } from '../../src/isolation/launch-table-rows.ts';
import { runLauncher } from '../../src/isolation/launcher-run.ts';
import {
  isRoot,
  type Launch,
  lacks,
  launch,
  launcher,
  OTHER_USER,
  rowsOf,
} from './launched-program.ts';

const noRoot = lacks('root', isRoot);
const SH = {
  argv: ['/usr/bin/sh'],
  profile: 'compat',
  situation: { tier: 'isolated', exec: 'any' },
} as const;

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'confinement-')));
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Looks again and again: what is waited for sends us no event. The test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((settled) => setImmediate(settled));
}

/** A shell command under the launcher. */
function shell(command: string, options: Partial<Launch> = {}) {
  return launch({
    ...SH,
    argv: ['/usr/bin/sh', '-c', command],
    ...options,
    landlock: options.landlock === null ? null : { execute: ['/usr/bin'], ...options.landlock },
  });
}

describe('a launch is refused, and nothing runs, when', () => {
  const cases: Record<string, { options: () => Partial<Launch>; cause: RegExp }> = {
    'a cgroup cannot be joined': {
      options: () => ({ table: { cgroupProcsFiles: [join(folder, 'none/cgroup.procs')] } }),
      cause: /^could not open `.*\/none\/cgroup\.procs`: ENOENT$/,
    },
    'joining a cgroup does not take': {
      options: () => ({ table: { cgroupProcsFiles: ['/dev/full'] } }),
      cause: /^could not join the cgroup through `\/dev\/full`: ENOSPC$/,
    },
    'the supervisor is another process': {
      options: () => ({ table: { parentPid: 1 } }),
      cause: new RegExp(`^could not find the supervisor \\(pid 1\\) alive: got ${process.pid}$`),
    },
    'the working directory is gone': {
      options: () => ({ cwd: join(folder, 'gone') }),
      cause: /^could not change to `.*\/gone`: ENOENT$/,
    },
    'a granted path is gone': {
      options: () => ({ landlock: { read: [join(folder, 'gone')] } }),
      cause: /^could not open `.*\/gone` without following a symlink: ENOENT$/,
    },
    'the filter is no program': {
      options: () => ({ table: { seccomp: new Uint8Array(8) } }),
      cause: /^could not apply the system call filter: EINVAL$/,
    },
    'the program is gone': {
      options: () => ({ table: { argv: [join(folder, 'gone')] } }),
      cause: /^could not execute `.*\/gone`: (ENOENT|EACCES)$/,
    },
    'the program may not be executed': {
      options: () => ({ table: { argv: ['/etc/passwd'] } }),
      cause: /^could not execute `\/etc\/passwd`: EACCES$/,
    },
  };

  test.each(Object.entries(cases))('%s', async (_, { options, cause }) => {
    const ended = await shell('echo ran', options());
    expect(ended).toMatchObject({ exitCode: 125, stdout: '', outcome: { state: 'refused' } });
    expect(ended.outcome).toMatchObject({ cause: expect.stringMatching(cause) });
  });

  test.skipIf(noRoot)('an ordinary user asks for another identity', async () => {
    const options = { startAs: OTHER_USER, table: { identity: { uid: 1, gid: 1 } } };
    expect((await shell('echo ran', options)).outcome).toMatchObject({
      cause: 'could not drop capability 0 from the bounding set: EPERM',
    });
  });

  test.skipIf(noRoot)('an ordinary user asks for more than its hard limit', async () => {
    const rlimits = { nofile: 2 ** 30, fsizeBytes: 1e9, core: 1 } as const;
    const ended = await shell('echo ran', { startAs: OTHER_USER, table: { rlimits } });
    expect(ended).toMatchObject({ exitCode: 125, stdout: '' });
    expect(ended.outcome).toMatchObject({ cause: expect.stringMatching(/RLIMIT_NOFILE.*EPERM$/) });
  });

  test('the filter forbids even to report', async () => {
    const RETURN_EPERM = Buffer.from([6, 0, 0, 0, 1, 0, 5, 0]);
    const ended = await shell('echo ran', { table: { seccomp: RETURN_EPERM } });
    expect(ended).toMatchObject({ exitCode: null, signal: 'SIGSEGV', stdout: '' });
    expect(ended.outcome.state).toBe('died');
  });

  test('the filter kills', async () => {
    const RETURN_KILL_PROCESS = Buffer.from([6, 0, 0, 0, 0, 0, 0, 0x80]);
    const ended = await shell('echo ran', { table: { seccomp: RETURN_KILL_PROCESS } });
    expect(ended).toMatchObject({ exitCode: null, signal: 'SIGSYS', stdout: '' });
    expect(ended.outcome.state).toBe('died');
  });
});

describe('paths', () => {
  test('that became symlinks are not followed, whatever part of them', async () => {
    mkdirSync(join(folder, 'private'));
    writeFileSync(join(folder, 'private', 'note'), 'top secret');
    mkdirSync(join(folder, 'in'));
    const note = join(folder, 'in', 'note');
    writeFileSync(note, 'harmless');
    const read = () => shell(`cat ${note}`, { landlock: { read: [note] } });
    expect(await read()).toMatchObject({ stdout: 'harmless', exitCode: 0 });
    renameSync(join(folder, 'in'), join(folder, 'was'));
    symlinkSync(join(folder, 'private'), join(folder, 'in'));
    expect(await read()).toMatchObject({
      stdout: '',
      outcome: { state: 'refused', cause: expect.stringContaining('symlink: ELOOP') },
    });
  });

  test('are read, written and executed only as granted', async () => {
    for (const name of ['r', 'w', 'x', 'no']) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'f'), '#!/usr/bin/sh\necho ran\n', { mode: 0o755 });
    }
    const [r, w, x, no] = ['r', 'w', 'x', 'no'].map((name) => join(folder, name, 'f'));
    const grants = {
      read: [join(folder, 'r')],
      write: [join(folder, 'w')],
      execute: ['/usr/bin', join(folder, 'x')],
    };
    const can = async (command: string) =>
      (await shell(`${command} 2>/dev/null && echo done`, { landlock: grants })).stdout.includes(
        'done',
      );
    expect(await can(`cat ${r}`)).toBe(true);
    expect(await can(`echo >> ${r}`)).toBe(false);
    expect(await can(`${r}`)).toBe(false);
    expect(await can(`rm ${r}`)).toBe(false);
    expect(await can(`touch ${folder}/r/new`)).toBe(false);
    expect(await can(`cat ${w}`)).toBe(true);
    expect(await can(`echo >> ${w}`)).toBe(true);
    expect(
      await can(
        `mkdir ${folder}/w/a && echo > ${folder}/w/a/n && mv ${folder}/w/a/n ${folder}/w/n`,
      ),
    ).toBe(true);
    expect(await can(`${w}`)).toBe(false);
    expect(await can(`mkfifo ${folder}/w/fifo`)).toBe(true);
    expect(await can(`mknod ${folder}/w/null c 1 3`)).toBe(false);
    expect(await can(`${x}`)).toBe(true);
    expect(await can(`echo >> ${x}`)).toBe(false);
    expect(await can(`cat ${no}`)).toBe(false);
    expect(await can(`ls ${folder}/no`)).toBe(false);
    expect(await can(`ln ${no} ${folder}/w/linked`)).toBe(false);
    expect(await can(`ln -s ${no} ${folder}/w/s && cat ${folder}/w/s`)).toBe(false);
    expect(existsSync(join(folder, 'r', 'new'))).toBe(false);
    expect(readFileSync(r ?? '', 'utf8')).toBe('#!/usr/bin/sh\necho ran\n');
  });

  test('may be many, with few descriptors', async () => {
    const read = Array.from({ length: 500 }, (_, index) => join(folder, String(index)));
    for (const path of read) writeFileSync(path, '');
    const rlimits = { nofile: 10, fsizeBytes: 1e9, core: 1 } as const;
    const ended = await shell('ulimit -n', { landlock: { read }, table: { rlimits } });
    expect(ended).toMatchObject({ exitCode: 0, stdout: '10\n' });
  });

  test('of the process itself are open, those of others are not', async () => {
    const parent = process.pid;
    const { stdout, stderr } = await launch({
      ...SH,
      argv: [
        process.execPath,
        '-e',
        `
        const fs = require('fs');
        const attempt = (f) => { try { f(); return 'ok' } catch (e) { return e.code } };
        console.log(JSON.stringify({
          self: attempt(() => fs.readFileSync('/proc/self/status')),
          maps: attempt(() => fs.readFileSync('/proc/self/maps')),
          statistics: attempt(() => fs.readFileSync('/proc/self/stat')),
          connections: attempt(() => fs.readFileSync('/proc/self/net/tcp')),
          sockets: attempt(() => fs.readFileSync('/proc/self/task/' + process.pid + '/net/unix')),
          mounts: attempt(() => fs.readFileSync('/proc/self/mountinfo')),
          memory: attempt(() => fs.openSync('/proc/self/mem', 'r+')),
          oom: attempt(() => fs.writeFileSync('/proc/self/oom_score_adj', '0')),
          parent: attempt(() => fs.readFileSync('/proc/${parent}/environ')),
          line: attempt(() => fs.readFileSync('/proc/${parent}/cmdline')),
          first: attempt(() => fs.readFileSync('/proc/1/status')),
          list: attempt(() => fs.readdirSync('/proc')),
          root: attempt(() => fs.readFileSync('/proc/self/root/etc/shadow')),
        }));`,
      ],
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      self: 'ok',
      maps: 'ok',
      statistics: 'ok',
      connections: 'EACCES',
      sockets: 'EACCES',
      mounts: 'EACCES',
      memory: 'EACCES',
      oom: 'EACCES',
      parent: 'EACCES',
      line: 'EACCES',
      first: 'EACCES',
      list: 'EACCES',
      root: 'EACCES',
    });
  });
});

describe('a program under the launcher', () => {
  const statusOf = async (options: Partial<Launch> = {}) => {
    const { stdout } = await launch({
      ...SH,
      argv: [process.execPath, '-p', "require('fs').readFileSync('/proc/self/status','utf8')"],
      ...options,
    });
    return Object.fromEntries(
      stdout.split('\n').map((line) => line.split(/:\s*/) as [string, string]),
    );
  };
  const NONE = '0000000000000000';

  test('has no privileges, and can gain none', async () => {
    expect(await statusOf()).toMatchObject({
      NoNewPrivs: '1',
      Seccomp: '2',
      CapInh: NONE,
      CapPrm: NONE,
      CapEff: NONE,
      CapAmb: NONE,
    });
  });

  test.skipIf(noRoot)(
    'is the user it was made, in no group, with an empty bounding set',
    async () => {
      const { uid, gid } = OTHER_USER;
      expect(await statusOf({ table: { identity: OTHER_USER } })).toMatchObject({
        Uid: `${uid}\t${uid}\t${uid}\t${uid}`,
        Gid: `${gid}\t${gid}\t${gid}\t${gid}`,
        Groups: '',
        CapBnd: NONE,
        CapEff: NONE,
        NoNewPrivs: '1',
      });
    },
  );

  test('has the limits it was given, soft and hard', async () => {
    const rlimits = { nofile: 33, fsizeBytes: 4096, cpuSeconds: 9, core: 1 } as const;
    const { stdout } = await launch({
      ...SH,
      argv: ['/usr/bin/sh', '-c', 'cat /proc/$$/limits'],
      landlock: null,
      table: { rlimits },
    });
    const limits = Object.fromEntries(
      stdout.split('\n').map((line) => [line.slice(0, 26).trim(), line.slice(26, 68).trim()]),
    );
    expect(limits).toMatchObject({
      'Max open files': expect.stringMatching(/^33 +33$/),
      'Max file size': expect.stringMatching(/^4096 +4096$/),
      'Max cpu time': expect.stringMatching(/^9 +10$/),
      'Max core file size': expect.stringMatching(/^1 +1$/),
    });
  });

  test('is told by SIGXCPU that it used its CPU time, and cannot ignore it for long', async () => {
    const rlimits = { nofile: 64, fsizeBytes: 4096, cpuSeconds: 1, core: 1 } as const;
    const spin = (trap: string) =>
      launch({
        ...SH,
        argv: ['/usr/bin/sh', '-c', `${trap} while :; do :; done`],
        table: { rlimits },
      });
    const [plain, trapping] = await Promise.all([spin(''), spin("trap '' XCPU;")]);
    expect([plain.signal, trapping.signal]).toEqual(['SIGXCPU', 'SIGKILL']);
  }, 30_000);

  test('inherits nothing but its stdio and the frames', async () => {
    // What a careless parent leaves open: an index of stdio is inherited without close-on-exec.
    const leaked = openSync('/etc/passwd', 'r');
    const { stdout } = await shell('ls /proc/$$/fd', {
      landlock: null,
      leaked: [leaked, leaked],
    });
    closeSync(leaked);
    expect(stdout.split('\n').filter(Boolean)).toEqual(['0', '1', '2', '3']);
  });

  test('sees only the environment it was given', async () => {
    const { stdout } = await shell('env', { env: { GREETING: 'hello' } });
    const names = stdout.split('\n').map((line) => line.split('=')[0]);
    expect(names).toContain('GREETING');
    expect(names).not.toContain('HOME');
    expect(stdout).not.toContain('ENFORCECORE');
  });
});

describe('the supervisor', () => {
  const alive = (pid: number) =>
    existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const supervisor of started.splice(0)) supervisor.kill('SIGKILL');
  });

  async function startSupervisor() {
    const tableFile = join(folder, 'table');
    const stub = resolve('test/fixtures/tools/supervisor.mjs');
    const supervisor = spawn(process.execPath, [stub, `/proc/self/fd/${6}`, tableFile], {
      stdio: ['pipe', 'pipe', 'ignore', 'ignore', 'ignore', 'ignore', launcher.descriptor],
    });
    started.push(supervisor);
    const lines: string[] = [];
    supervisor.stdout?.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n')));
    await until(() => lines.filter(Boolean).length >= 1);
    const toolPid = Number(lines[0]);
    const rows = rowsOf(
      {
        ...SH,
        argv: ['/usr/bin/sleep', '1000'],
        table: { parentPid: supervisor.pid ?? 0, closeFrom: 3 },
      },
      toolPid,
    );
    writeFileSync(tableFile, encodeLaunchTable(rows, launcher.architecture));
    return { supervisor, toolPid, lines };
  }

  test('takes its tool with it when it is killed', async () => {
    const { supervisor, toolPid, lines } = await startSupervisor();
    supervisor.stdin?.write('go');
    await until(() => lines.some((line) => line.startsWith('reported ')));
    expect(alive(toolPid)).toBe(true);
    supervisor.kill('SIGKILL');
    await until(() => !alive(toolPid));
  });

  test('takes a launcher with it that has no table yet', async () => {
    const { supervisor, toolPid } = await startSupervisor();
    expect(alive(toolPid)).toBe(true);
    supervisor.kill('SIGKILL');
    await until(() => !alive(toolPid));
  });
});

describe.skipIf(noRoot)('killing all processes of a user', () => {
  const victimUser = { uid: 200125, gid: 200125 };
  const victim = { ...victimUser, killerUid: 200126 };
  const BOMB = `
    for i in 1 2 3 4 5; do (trap '' TERM HUP INT; setsid sleep 1000 & setsid sh -c 'sleep 1000 & sleep 1000' &) & done
    wait; sleep 1000`;
  const processesOf = (uid: number) => {
    return readdirSync('/proc').filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        return status.includes(`\nUid:\t${uid}\t`) && !/\nState:\tZ/.test(status);
      } catch {
        return false;
      }
    });
  };

  test('leaves none, though they are daemons', async () => {
    const tree = spawn('/usr/bin/sh', ['-c', BOMB], {
      stdio: 'ignore',
      detached: true,
      ...victimUser,
    });
    await until(() => processesOf(victimUser.uid).length >= 15);
    const gone = once(tree, 'exit');
    expect(await runLauncher(launcher, buildKillRows(victim))).toMatchObject({ exitCode: 0 });
    await gone;
    await until(() => processesOf(victimUser.uid).length === 0);
  });

  test('is not stopped by a tool that kills whatever it may', async () => {
    const killer = spawn(
      '/usr/bin/python3',
      ['-c', 'import os\nwhile True:\n try: os.kill(-1, 9)\n except OSError: pass'],
      {
        stdio: 'ignore',
        ...victimUser,
      },
    );
    await once(killer, 'spawn');
    await until(() => processesOf(victimUser.uid).length > 0);
    const gone = once(killer, 'exit');
    for (let attempt = 0; attempt < 20 && processesOf(victimUser.uid).length > 0; attempt++) {
      expect(await runLauncher(launcher, buildKillRows(victim))).toMatchObject({ exitCode: 0 });
    }
    await gone;
  });

  test('is no error when there are none', async () => {
    expect(await runLauncher(launcher, buildKillRows({ ...victim, uid: 200127 }))).toMatchObject({
      exitCode: 0,
      signal: null,
    });
  });
});
