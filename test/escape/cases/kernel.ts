import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { program } from '../../isolation/raw-syscalls.ts';
import { jobText } from '../apart.ts';
import { type Attempt, type Policy, tool } from '../attempt.ts';
import { type EscapeCase, STRONG } from '../escape-case.ts';
import { buffer, bytes, call, result, sleepCall, syscallTool, text } from '../raw-calls.ts';
import { SPAWNING } from './processes.ts';

const CODE = tool('run-code.mjs');
const isRoot = process.getuid?.() === 0;
const NEEDS_ROOT = (): string | null =>
  isRoot ? null : 'an ordinary user may not do this unprotected either';

/** Makes the calls, then waits to be looked at. */
function holding(on: Attempt, calls: readonly string[]) {
  return syscallTool([call('getpid', text(on.token)), ...calls, sleepCall(700)]);
}

function watchCalls(
  on: Attempt,
  calls: readonly string[],
  look: (pid: number) => boolean,
  policy: Policy = {},
): Promise<boolean> {
  return on.watch(holding(on, calls), {}, policy, (pids) => pids.some(look));
}

const descriptors = (pid: number): readonly string[] =>
  readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
const field = (pid: number, file: string, name: string): string =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(name)) ?? '';
/** Its standard streams are sockets of ours; what lies above, it made. */
const holdsSocket = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/fd`)
    .filter((name) => Number(name) > 2)
    .some((name) => readlinkSync(`/proc/${pid}/fd/${name}`).startsWith('socket:'));

const isMounted = (folder: string): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${folder} `);

const CLONE_NEWUSER = 0x1000_0000;
const SIGCHLD = 17;
const SYSCTLS = ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe'].filter(existsSync);
/** Root's, and nobody's loss when it changes for a moment. */
const HARMLESS_SYSCTL = '/proc/sys/kernel/printk_ratelimit_burst';

const TIOCSTI = 0x5412;

/** Makes the calls below a terminal, and looks whether anything was typed into it. */
async function typesInto(on: Attempt, calls: readonly string[]): Promise<boolean> {
  const quoted = (word: string): string => `'${word}'`;
  const attack = on.isUnprotected
    ? [program, ...calls]
    : [process.execPath, tool('supervisor.mjs')];
  const script = on.path('session.sh');
  writeFileSync(
    script,
    `${attack.map(quoted).join(' ')}\nIFS= read -r -t 1 typed; echo "typed:[$typed]"`,
  );
  const env = { ...process.env, ESCAPE_JOB: jobText(on, syscallTool(calls), {}) };
  const session = spawn('script', ['-qec', `bash ${script}`, '/dev/null'], { env });
  let shown = '';
  session.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  await once(session, 'close');
  if (!on.isUnprotected && !shown.includes('"profileDigest":"'))
    throw new Error(`the attack did not run: ${shown}`);
  return !shown.includes('typed:[]');
}

export const KERNEL_CASES: readonly EscapeCase[] = [
  {
    ids: ['k-01'],
    title: 'mounts a file system',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: NEEDS_ROOT,
    attempt: async (on) => {
      const calls = [call('mount', text('none'), text(on.folder), text('tmpfs'), 0, 0)];
      await on.run(syscallTool(calls));
      const mounted = isMounted(on.folder);
      if (mounted) spawnSync('umount', [on.folder]);
      return mounted;
    },
  },
  {
    ids: ['k-02'],
    title: 'unmounts, or changes its root',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: NEEDS_ROOT,
    attempt: async (on) =>
      watchCalls(
        on,
        [call('chroot', text('/usr')), call('pivot_root', text('/usr'), text('/usr'))],
        (pid) => readlinkSync(`/proc/${pid}/root`) === '/usr',
      ),
  },
  {
    ids: ['k-05'],
    title: 'makes system calls through io_uring, past every filter',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: (on) =>
      watchCalls(on, [call('io_uring_setup', 8, bytes(...Array(120).fill(0)))], (pid) =>
        descriptors(pid).some((target) => target.includes('io_uring')),
      ),
  },
  {
    ids: ['k-09'],
    title: 'loads a kernel module',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: () =>
      'it would load a module into this kernel; that the module list is as it was is all that is looked at',
    attempt: async (on) => {
      const modules = () =>
        existsSync('/proc/modules') ? readFileSync('/proc/modules', 'utf8').split('\n').length : 0;
      const before = modules();
      const calls = [
        call('init_module', buffer(0), 64, text('')),
        call('delete_module', text('loop'), 0),
      ];
      const { end } = await on.run(syscallTool(calls));
      const answers = JSON.stringify(end);
      // Not even looked at by the kernel: EPERM from the filter, not "no such module".
      return modules() !== before || /-2\b|-8\b/.test(answers);
    },
  },
  {
    ids: ['k-12'],
    title: 'switches off the randomisation of addresses',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: (on) =>
      watchCalls(on, [call('personality', 0x4_0000)], (pid) =>
        /4\d{4}$/.test(readFileSync(`/proc/${pid}/personality`, 'utf8').trim()),
      ),
  },
  {
    ids: ['proc-16'],
    title: 'makes a user namespace, by clone, clone3 or unshare',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: () =>
      spawnSync('unshare', ['-U', 'true']).status === 0 ? null : 'this host has no user namespaces',
    attempt: async (on) => {
      const seen = new Set<string>();
      const structure = Buffer.alloc(64);
      structure.writeBigUInt64LE(BigInt(CLONE_NEWUSER), 0);
      structure.writeBigUInt64LE(BigInt(SIGCHLD), 32);
      const calls = [
        sleepCall(400),
        call('clone3', bytes(...structure), 64),
        call('clone', CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
        call('unshare', CLONE_NEWUSER),
      ];
      return watchCalls(
        on,
        calls,
        (pid) => seen.add(readlinkSync(`/proc/${pid}/ns/user`)).size > 1,
        SPAWNING,
      );
    },
    mayRefuse: true,
  },
  {
    ids: ['proc-18', 'fc-07'],
    title: 'keeps capabilities of its supervisor',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: NEEDS_ROOT,
    attempt: (on) =>
      watchCalls(on, [], (pid) =>
        ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].some(
          (name) => !/\t0+$/.test(field(pid, 'status', name)),
        ),
      ),
  },
  {
    ids: ['fs-20'],
    title: 'becomes another user through a set-id program',
    claimedBy: STRONG,
    mayRefuse: true,
    noControl: NEEDS_ROOT,
    attempt: async (on) => {
      const program = on.path('sleep');
      copyFileSync('/usr/bin/sleep', program);
      if (isRoot) chownSync(program, 200_124, 200_124);
      chmodSync(program, 0o4755);
      const code = `child_process.spawnSync('${program}', ['0.8'], { argv0: a.token })`;
      const execute = ['/usr/bin', '/usr/lib', program];
      return on.watch(CODE, { code }, { exec: 'any', filesystem: { execute } }, (pids) =>
        pids.some((pid) => field(pid, 'status', 'Uid').includes('200124')),
      );
    },
  },
  {
    ids: ['k-13'],
    title: 'makes 32-bit system calls, which the filter could mistake for others',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: async (on) => {
      const program = on.path('int80');
      const source = tool('int80.c');
      const built = spawnSync('gcc', ['-static', '-O1', '-o', program, source]);
      if (built.status !== 0) throw new Error(built.stderr.toString());
      return on.watch({ command: [program, on.token] }, {}, {}, (pids) => pids.some(holdsSocket));
    },
  },
  {
    ids: ['k-14', 'k-15'],
    title: 'changes settings of the kernel that run programs as root',
    claimedBy: STRONG,
    noControl: NEEDS_ROOT,
    attempt: async (on) => {
      const before = readFileSync(HARMLESS_SYSCTL, 'utf8');
      const others = [...SYSCTLS, '/proc/sysrq-trigger', '/sys/kernel/uevent_helper'];
      // The control changes the harmless one only. Of a value of its own: others write there, too.
      const files = on.isUnprotected ? [HARMLESS_SYSCTL] : [HARMLESS_SYSCTL, ...others];
      const mine = String(randomInt(1000, 1_000_000));
      await on.run(tool('try-files.mjs'), { attack: 'write-each', files, text: mine });
      const changed = [HARMLESS_SYSCTL, ...SYSCTLS].some(
        (file) => readFileSync(file, 'utf8').trim() === mine,
      );
      if (changed) writeFileSync(HARMLESS_SYSCTL, before);
      return changed;
    },
  },
  {
    ids: ['k-17'],
    title: 'makes a control group of its own, or sets a release agent',
    claimedBy: STRONG,
    noControl: () =>
      NEEDS_ROOT() ?? (existsSync('/sys/fs/cgroup') ? null : 'no control groups here'),
    attempt: async (on) => {
      const roots = ['pids', 'memory', 'unified', ''].map((name) => join('/sys/fs/cgroup', name));
      const folders = roots.map((root) => join(root, on.token));
      const code = `for (const f of a.folders) try { fs.mkdirSync(f) } catch {}
        for (const f of a.agents) try { fs.writeFileSync(f, '/bin/true') } catch {}`;
      const agents = on.isUnprotected ? [] : roots.map((root) => join(root, 'release_agent'));
      await on.run(CODE, { code, folders, agents });
      const made = folders.filter((folder) => existsSync(folder));
      for (const folder of made) rmdirSync(folder);
      return made.length > 0;
    },
  },
  {
    ids: ['k-18'],
    title: 'raises its own limits',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: (on) => {
      const limit = bytes(...Array(2).fill([0x10, 0x27, 0, 0, 0, 0, 0, 0]).flat());
      return watchCalls(
        on,
        [call('setrlimit', 7, limit), call('prlimit64', 0, 7, limit, 0)],
        (pid) => / 10000 /.test(field(pid, 'limits', 'Max open files')),
      );
    },
  },
  {
    ids: ['k-19', 'A7-core'],
    title: 'leaves its memory in a core file',
    claimedBy: STRONG,
    needs: ['gcc'],
    noControl: () => {
      const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
      if (!pattern.startsWith('core')) return 'cores of this host do not go to a file';
      const limits = readFileSync('/proc/self/limits', 'utf8');
      return /Max core file size +\S+ +0 /.test(limits) && !isRoot ? 'no cores on this host' : null;
    },
    attempt: async (on) => {
      const unlimited = bytes(...Array(16).fill(0xff));
      await on.run(
        syscallTool([
          call('setrlimit', 4, unlimited),
          call('chdir', text(on.folder)),
          call('getpid'),
          call('kill', result(2), 6),
        ]),
      );
      return readdirSync(on.folder).some((name) => name.startsWith('core'));
    },
  },
  {
    ids: ['k-20'],
    title: 'types into the terminal of its supervisor',
    claimedBy: STRONG,
    needs: ['gcc', 'script'],
    noControl: () => {
      const file = '/proc/sys/dev/tty/legacy_tiocsti';
      const isLegacy = !existsSync(file) || readFileSync(file, 'utf8').trim() === '1';
      return isLegacy ? null : 'this kernel lets nobody type for others';
    },
    attempt: async (on) => {
      const ttys = ['/dev/tty', '/dev/pts/0', '/dev/pts/1', '/dev/pts/2', '/dev/pts/3'];
      const opened = ttys.flatMap((tty, at) => [
        call('open', text(tty), 2, 0),
        call('ioctl', result(at * 2), TIOCSTI, text('y')),
      ]);
      const typed = ['y', '\n'].map((letter) => call('ioctl', 0, TIOCSTI, text(letter)));
      return typesInto(on, [...opened, ...typed]);
    },
  },
  {
    ids: ['A7-shm'],
    title: 'leaves a segment of shared memory',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: async (on) => {
      const key = randomInt(1, 2 ** 30);
      await on.run(syscallTool([call('shmget', key, 4096, 0o1666)]));
      const left = readFileSync('/proc/sysvipc/shm', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([found]) => found === String(key));
      for (const [, id = ''] of left) spawnSync('ipcrm', ['-m', id]);
      return left.length > 0;
    },
  },
  {
    ids: ['A8'],
    title: 'a tool can look at its own memory use',
    claimedBy: STRONG,
    mustWork: true,
    attempt: async (on) => {
      const { end } = await on.run(CODE, { code: 'return process.memoryUsage().rss' });
      return end.status === 'ok' && Number(end.value) > 1e6;
    },
  },
  {
    ids: ['C4'],
    title: 'a tool runs with room for 64 open files',
    claimedBy: STRONG,
    mustWork: true,
    attempt: async (on) => {
      const { end } = await on.run(CODE, { code: 'return 1' }, { limits: { openFilesMax: 64 } });
      return end.status === 'ok';
    },
  },
  {
    ids: ['C2'],
    title: 'a tool with few processes runs where its user has many',
    claimedBy: STRONG,
    mustWork: true,
    attempt: async (on) => {
      const { end } = await on.run(CODE, { code: 'return 1' }, { limits: { processesMax: 1 } });
      return end.status === 'ok';
    },
  },
  {
    ids: ['net-06', 'net-10'],
    title: 'opens sockets of raw packets, the kernel, and other families',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: (on) => {
      const [unix, netlink, packet, alg, vsock] = [1, 16, 17, 38, 40];
      const sockets = [
        [2, 3, 1],
        [unix, 1, 0],
        [netlink, 3, 15],
        [packet, 3, 0],
        [alg, 5, 0],
        [vsock, 1, 0],
      ] as const;
      return watchCalls(
        on,
        sockets.map((words) => call('socket', ...(words as readonly number[]))),
        holdsSocket,
      );
    },
  },
  {
    ids: ['fs-23', 'net-09'],
    title: 'a tool starts a program with /dev/null for its pipes',
    claimedBy: STRONG,
    mustWork: true,
    mayRefuse: true,
    attempt: async (on) => {
      const code = `fs.writeFileSync('/dev/null', 'x');
        const { status, error } = child_process.spawnSync('/usr/bin/true', { stdio: 'ignore' });
        return { status, error: error?.code }`;
      const { end } = await on.run(CODE, { code }, SPAWNING);
      // Where nothing contains what a tool starts, it may not start anything.
      if (end.status === 'isolation-unavailable') return true;
      return end.status === 'ok' && JSON.stringify(end.value) === '{"status":0}';
    },
  },
];
