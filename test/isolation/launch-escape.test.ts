import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRoot, type Launch, launch } from './launched-program.ts';
import {
  ATTACKER,
  buffer,
  bytes,
  call,
  confined,
  noCompiler,
  result,
  startUnprotected,
  text,
  unprotected,
} from './raw-syscalls.ts';

// Attacks that once worked on a tool that runs as its supervisor's own user. Each is first shown to
// work on an unprotected child; the effect is looked for from outside, never in what the tool says.

const PROFILES = ['strict', 'compat', 'off'] as const;
/** As on a kernel of 2021: no scopes, no truncation, no REFER. The rest is up to the filter. */
const OLD: Partial<Launch> = { situation: { landlockAbi: 1 }, landlock: { abi: 1 } };
const EPERM = -1;
const SIGKILL = 9;
const AT_FDCWD = -100;

let folder: string;
let victim: ChildProcess;
let victimPid: number;

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'escape-')));
  chmodSync(folder, 0o755);
  if (isRoot) chownSync(folder, ATTACKER.uid, ATTACKER.gid);
  victim = spawn('/usr/bin/sleep', ['1000'], { stdio: 'ignore', ...(isRoot ? ATTACKER : {}) });
  await once(victim, 'spawn');
  victimPid = victim.pid ?? 0;
});
afterEach(async () => {
  if (victim.exitCode === null && victim.signalCode === null) {
    const gone = once(victim, 'exit');
    victim.kill('SIGKILL');
    await gone;
  }
  rmSync(folder, { recursive: true });
});

/** A file of the tool's user, where the tool may do nothing. */
function secretFile(mode = 0o600): string {
  const file = join(folder, 'secret');
  writeFileSync(file, 'top secret');
  if (isRoot) chownSync(file, ATTACKER.uid, ATTACKER.gid);
  chmodSync(file, mode);
  return file;
}

/** A folder the tool may write. */
function writableFolder(): string {
  const path = join(folder, 'out');
  mkdirSync(path);
  if (isRoot) chownSync(path, ATTACKER.uid, ATTACKER.gid);
  return path;
}

const alive = () => victim.exitCode === null && victim.signalCode === null;
const statusOf = (pid: number, line: string) =>
  readFileSync(`/proc/${pid}/${line.includes('Max') ? 'limits' : 'status'}`, 'utf8')
    .split('\n')
    .find((row) => row.startsWith(line));
/** Field of /proc/pid/stat, counted from 1 as in proc(5). */
const stat = (pid: number, field: number) =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[field - 3];

describe.skipIf(noCompiler)('signals', () => {
  const attacks: Record<string, () => readonly string[]> = {
    kill: () => [call('kill', victimPid, SIGKILL)],
    'kill of everybody': () => [call('kill', -1, SIGKILL)],
    tkill: () => [call('tkill', victimPid, SIGKILL)],
    tgkill: () => [call('tgkill', victimPid, victimPid, SIGKILL)],
    rt_sigqueueinfo: () => [
      call(
        'rt_sigqueueinfo',
        victimPid,
        SIGKILL,
        bytes(...[9, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      ),
    ],
    'a pidfd': () => [
      call('pidfd_open', victimPid, 0),
      call('pidfd_send_signal', result(0), SIGKILL, 0, 0),
    ],
    // A pipe that sends SIGKILL to its owner when there is something to read.
    'an asynchronous descriptor': () => [
      call('pipe2', buffer(0), 0),
      call('dup2', 0, 40),
      call('fcntl', 3, 8, victimPid),
      call('fcntl', 3, 10, SIGKILL),
      call('fcntl', 3, 4, 0o20000),
      call('write', 4, text('x'), 1),
    ],
  };

  test.each(Object.keys(attacks).filter((name) => name !== 'kill of everybody'))(
    '%s kills a process of the same user when nothing is in the way',
    async (name) => {
      const gone = once(victim, 'exit');
      unprotected(attacks[name]?.() ?? []);
      await gone;
      expect(victim.signalCode).toBe('SIGKILL');
    },
  );

  test.skipIf(!isRoot)('a kill of everybody does too', async () => {
    const lonely = { uid: 200124, gid: 200124 };
    const other = spawn('/usr/bin/sleep', ['1000'], { stdio: 'ignore', ...lonely });
    await once(other, 'spawn');
    const gone = once(other, 'exit');
    unprotected([call('kill', -1, SIGKILL)], lonely);
    await gone;
    expect(other.signalCode).toBe('SIGKILL');
  });

  describe.each(PROFILES)('under %s', (profile) => {
    test.each(Object.keys(attacks))('%s does not reach the supervisor', async (name) => {
      for (const exec of ['none', 'any'] as const) {
        const results = await confined(attacks[name]?.() ?? [], { profile, situation: { exec } });
        expect(results.length).toBeLessThanOrEqual(6);
        expect(alive()).toBe(true);
      }
    });

    test.each(Object.keys(attacks))('%s does not, on a kernel without scopes', async (name) => {
      await confined(attacks[name]?.() ?? [], { profile, ...OLD });
      expect(alive()).toBe(true);
    });
  });

  test('a process can still signal itself', async () => {
    for (const options of [{}, OLD]) {
      const [pid, sent] = await confined([call('getpid'), call('kill', result(0), 0)], options);
      expect(pid).toBeGreaterThan(0);
      expect(sent).toBe(0);
    }
  });
});

describe.skipIf(noCompiler)('control of another process', () => {
  const limit = (soft: number) => bytes(soft, 0, 0, 0, 0, 0, 0, 0, soft, 0, 0, 0, 0, 0, 0, 0);
  const attacks: Record<string, { calls: () => readonly string[]; effect: () => boolean }> = {
    'lowers its limit of descriptors': {
      calls: () => [call('prlimit64', victimPid, 7, limit(3), 0)],
      effect: () => / 3 +3 /.test(statusOf(victimPid, 'Max open files') ?? ''),
    },
    'lowers its priority': {
      calls: () => [call('setpriority', 0, victimPid, 19)],
      effect: () => stat(victimPid, 19) === '19',
    },
    'lowers the priority of the whole user': {
      calls: () => [call('setpriority', 2, 0, 18)],
      effect: () => stat(victimPid, 19) === '18',
    },
    'takes its processors away': {
      calls: () => [call('sched_setaffinity', victimPid, 8, bytes(1, 0, 0, 0, 0, 0, 0, 0))],
      effect: () => statusOf(victimPid, 'Cpus_allowed_list') === 'Cpus_allowed_list:\t0',
    },
    'makes it run only when nothing else does': {
      calls: () => [call('sched_setscheduler', victimPid, 5, bytes(0, 0, 0, 0))],
      effect: () => stat(victimPid, 41) === '5',
    },
  };

  test.each(Object.entries(attacks))('a tool %s when nothing is in the way', (name, attack) => {
    // Without a user of its own for it, this would slow down whoever runs the tests.
    if (name.includes('whole user') && !isRoot) return;
    expect(attack.effect()).toBe(false);
    unprotected(attack.calls());
    expect(attack.effect()).toBe(true);
  });

  describe.each(PROFILES)('under %s', (profile) => {
    test.each(Object.entries(attacks))('no tool %s', async (_, attack) => {
      const [answer] = await confined(attack.calls(), { profile });
      expect(answer).toBe(EPERM);
      expect(attack.effect()).toBe(false);
    });

    test('no tool traces it, reads it, or holds it', async () => {
      const answers = await confined(
        [
          call('ptrace', 16, victimPid, 0, 0),
          call('process_vm_readv', victimPid, buffer(0), 1, buffer(100), 1, 0),
          call('pidfd_open', victimPid, 0),
          call('kcmp', victimPid, victimPid, 0, 0, 0),
        ],
        { profile },
      );
      expect(answers).toEqual([EPERM, EPERM, EPERM, EPERM]);
      expect(statusOf(victimPid, 'TracerPid')).toBe('TracerPid:\t0');
    });
  });
});

describe.skipIf(noCompiler)('files that the tool may not open', () => {
  const O_TRUNC = 0o1000;
  const attacks: Record<
    string,
    { calls: (file: string) => readonly string[]; effect: (file: string) => boolean }
  > = {
    'changes the mode': {
      calls: (file) => [call('chmod', text(file), 0o666)],
      effect: (file) => (statSync(file).mode & 0o777) === 0o666,
    },
    'changes the mode at a folder': {
      calls: (file) => [call('fchmodat', AT_FDCWD, text(file), 0o666)],
      effect: (file) => (statSync(file).mode & 0o777) === 0o666,
    },
    'changes the mode with flags': {
      calls: (file) => [call('fchmodat2', AT_FDCWD, text(file), 0o666, 0)],
      effect: (file) => (statSync(file).mode & 0o777) === 0o666,
    },
    'sets the time': {
      calls: (file) => [call('utimensat', AT_FDCWD, text(file), bytes(...Array(32).fill(0)), 0)],
      effect: (file) => statSync(file).mtimeMs === 0,
    },
    'empties it by name': {
      calls: (file) => [call('truncate', text(file), 0)],
      effect: (file) => statSync(file).size === 0,
    },
    'empties it by opening it for reading': {
      calls: (file) => [call('openat', AT_FDCWD, text(file), O_TRUNC, 0)],
      effect: (file) => statSync(file).size === 0,
    },
    'moves it': {
      calls: (file) => [call('renameat2', AT_FDCWD, text(file), AT_FDCWD, text(`${file}2`), 0)],
      effect: (file) => !existsSync(file),
    },
    'removes it': {
      calls: (file) => [call('unlinkat', AT_FDCWD, text(file), 0)],
      effect: (file) => !existsSync(file),
    },
  };

  test.each(Object.entries(attacks))('a tool %s when nothing is in the way', (_, attack) => {
    const file = secretFile();
    unprotected(attack.calls(file));
    expect(attack.effect(file)).toBe(true);
  });

  describe.each(PROFILES)('under %s', (profile) => {
    test.each(Object.entries(attacks))('no tool %s', async (_, attack) => {
      const file = secretFile();
      for (const options of [{}, OLD]) {
        await confined(attack.calls(file), { profile, ...options });
        expect(attack.effect(file)).toBe(false);
        expect(readFileSync(file, 'utf8')).toBe('top secret');
      }
    });

    test.each(Object.entries(attacks))('no tool %s that it may read', async (_, attack) => {
      const file = secretFile(0o644);
      for (const { situation = {}, landlock = {} } of [{}, OLD]) {
        const options = { profile, situation, landlock: { ...landlock, read: [file] } };
        await confined(attack.calls(file), options);
        expect(attack.effect(file)).toBe(false);
      }
    });

    test('no tool opens a readable file to others, or closes it', async () => {
      const file = secretFile(0o644);
      const calls = [0o666, 0o777, 0, 0o200].map((mode) => call('fchmod', result(0), mode));
      await confined([call('openat', AT_FDCWD, text(file), 0, 0), ...calls], {
        profile,
        landlock: { read: [file] },
      });
      expect(statSync(file).mode & 0o777).toBe(0o644);
    });

    test('no tool watches them', async () => {
      const file = secretFile();
      const answers = await confined(
        [call('inotify_init1', 0), call('inotify_add_watch', result(0), text(folder), 0xfff)],
        { profile },
      );
      expect(answers[1]).toBe(EPERM);
      expect(existsSync(file)).toBe(true);
    });
  });

  test('the mode of a readable file can be changed when nothing is in the way', () => {
    const file = secretFile(0o644);
    unprotected([call('openat', AT_FDCWD, text(file), 0, 0), call('fchmod', result(0), 0o777)]);
    expect(statSync(file).mode & 0o777).toBe(0o777);
  });

  test('a folder can be watched when nothing is in the way', () => {
    const watch = [
      call('inotify_init1', 0),
      call('inotify_add_watch', result(0), text(folder), 0xfff),
    ];
    expect(unprotected(watch)[1]).toBeGreaterThan(0);
  });
});

describe.skipIf(noCompiler)('sockets', () => {
  const AF_UNIX = 1;
  const SOCK_STREAM = 1;
  const SOCK_DGRAM = 2;
  const SOCK_RAW = 3;
  const SOCK_SEQPACKET = 5;
  const address = (path: string) => bytes(1, 0, ...Buffer.from(`${path}\0`));
  const addressBytes = (path: string) => path.length + 3;
  const received = 'from the tool';

  /** A datagram socket of a process outside, whose one message is told by its exit. */
  async function listener(path: string) {
    const child = startUnprotected([
      call('socket', AF_UNIX, SOCK_DGRAM, 0),
      call('bind', result(0), address(path), addressBytes(path)),
      call('recvfrom', result(0), buffer(0), 100, 0, 0, 0),
    ]);
    const lines: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n')));
    while (lines.filter((line) => line !== '').length < 2) await once(child.stdout, 'data');
    return { child, got: () => lines.filter((line) => line !== '').at(2) };
  }

  const send = (type: number, path: string) => [
    call('socketpair', AF_UNIX, type, 0, buffer(0)),
    // The pair took the lowest free descriptors; both ends are tried.
    ...[3, 4, 5, 6].map((descriptor) =>
      call(
        'sendto',
        descriptor,
        text(received),
        received.length,
        0,
        address(path),
        addressBytes(path),
      ),
    ),
  ];

  test.each([SOCK_DGRAM, SOCK_RAW])(
    'a pair of type %i reaches a path socket when nothing is in the way',
    async (type) => {
      const path = join(folder, 'log');
      const { child, got } = await listener(path);
      const gone = once(child, 'close');
      unprotected(send(type, path));
      await gone;
      expect(got()).toBe(String(received.length));
    },
  );

  test.each(PROFILES)('no pair reaches a path socket under %s', async (profile) => {
    const path = join(folder, 'log');
    const { child, got } = await listener(path);
    for (const type of [SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOCK_SEQPACKET]) {
      await confined(send(type, path), { profile, landlock: { write: [folder] } });
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(got()).toBeUndefined();
  });

  test.each(PROFILES)('there is no socket of any family under %s', async (profile) => {
    const families = Array.from({ length: 46 }, (_, family) => call('socket', family, 2, 0));
    expect(new Set(await confined(families, { profile }))).toEqual(new Set([-97]));
  });
});

describe.skipIf(noCompiler)('what would outlive the call', () => {
  const O_CREAT_WRONLY = 0o101;
  const S_IFREG = 0o100000;

  const setId = (path: string): Record<string, readonly string[]> => ({
    chmod: [
      call('openat', AT_FDCWD, text(path), O_CREAT_WRONLY, 0o755),
      call('chmod', text(path), 0o4755),
    ],
    fchmod: [
      call('openat', AT_FDCWD, text(path), O_CREAT_WRONLY, 0o755),
      call('fchmod', result(0), 0o6755),
    ],
    openat: [call('openat', AT_FDCWD, text(path), O_CREAT_WRONLY, 0o4755)],
    creat: [call('creat', text(path), 0o2755)],
    mknodat: [call('mknodat', AT_FDCWD, text(path), S_IFREG | 0o4755, 0)],
    mkdirat: [call('mkdirat', AT_FDCWD, text(path), 0o2755), call('chmod', text(path), 0o2755)],
  });
  const isSetId = (path: string) => existsSync(path) && (statSync(path).mode & 0o6000) !== 0;

  test.each(Object.keys(setId('')))(
    '%s leaves a set-id file when nothing is in the way',
    (name) => {
      const path = join(writableFolder(), 'left');
      unprotected(setId(path)[name] ?? []);
      expect(isSetId(path)).toBe(true);
    },
  );

  describe.each(PROFILES)('under %s', (profile) => {
    test.each(Object.keys(setId('')))('%s does not', async (name) => {
      const out = writableFolder();
      const path = join(out, 'left');
      for (const situation of [{}, { tier: 'isolated' } as const]) {
        await confined(setId(path)[name] ?? [], { profile, situation, landlock: { write: [out] } });
        expect(isSetId(path)).toBe(false);
        rmSync(path, { recursive: true, force: true });
      }
    });

    test('no shared memory is left', async () => {
      const before = readFileSync('/proc/sysvipc/shm', 'utf8');
      expect(await confined([call('shmget', 0, 4096, 0o1600)], { profile })).toEqual([EPERM]);
      expect(readFileSync('/proc/sysvipc/shm', 'utf8')).toBe(before);
    });
  });

  test('shared memory is left when nothing is in the way', () => {
    const [id = -1] = unprotected([call('shmget', 0, 4096, 0o1600)]);
    expect(readFileSync('/proc/sysvipc/shm', 'utf8')).toMatch(new RegExp(`^ +0 +${id} `, 'm'));
    const IPC_RMID = 0;
    unprotected([call('shmctl', id, IPC_RMID, 0)]);
  });
});

describe.skipIf(noCompiler)('processes', () => {
  const childrenOf = (pid: number) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const CLONE_PARENT = 0x8000;
  const SIGCHLD = 17;
  const [CLONE_NEWUSER, CLONE_VM_VFORK] = [0x10000000, 0x4100];

  test('a child can be given to the supervisor when nothing is in the way', () => {
    const before = childrenOf(process.pid).length;
    // Both processes print what clone gave them, the child 0.
    const answers = unprotected([
      call('clone', CLONE_PARENT | SIGCHLD, 0, 0, 0, 0),
      call('exit_group', 0),
    ]);
    expect(Math.max(...answers)).toBeGreaterThan(0);
    expect(childrenOf(process.pid)).toHaveLength(before + 1);
  });

  describe.each(PROFILES)('under %s', (profile) => {
    test('no child is given to the supervisor', async () => {
      const before = childrenOf(process.pid).length;
      const attack = [call('clone', CLONE_PARENT | SIGCHLD, 0, 0, 0, 0), call('exit_group', 0)];
      const [child] = await confined(attack, { profile, situation: { exec: 'any' } });
      expect(child).toBe(EPERM);
      expect(childrenOf(process.pid).length).toBeLessThanOrEqual(before);
    });

    test('`exec: none` makes no process, however it is asked', async () => {
      const answers = await confined(
        [
          call('fork'),
          call('vfork'),
          call('clone', SIGCHLD, 0, 0, 0, 0),
          call('clone', CLONE_VM_VFORK | SIGCHLD, buffer(4096), 0, 0, 0),
          call('clone3', bytes(...Array(88).fill(0)), 88),
        ],
        { profile },
      );
      expect(answers).toEqual([EPERM, EPERM, EPERM, EPERM, -38]);
    });

    test('no user namespace is made or joined', async () => {
      const answers = await confined(
        [
          call('clone', CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
          call('unshare', CLONE_NEWUSER),
          call('setns', 0, 0),
        ],
        { profile, situation: { exec: 'any' } },
      );
      expect(answers).toEqual([EPERM, EPERM, EPERM]);
    });

    test('no tool takes back that it dies with its supervisor', async () => {
      const PR_SET_PDEATHSIG = 1;
      const PR_GET_PDEATHSIG = 2;
      const answers = await confined([call('prctl', PR_SET_PDEATHSIG, 0, 0, 0, 0)], { profile });
      expect(answers).toEqual([EPERM]);
      if (profile !== 'strict') {
        const [, seen] = await confined(
          [call('prctl', PR_GET_PDEATHSIG, buffer(0)), call('write', 1, buffer(0), 0)],
          { profile },
        );
        expect(seen).toBe(0);
      }
    });
  });

  test('a foreign program can be mapped in, but stays confined', async () => {
    const loaders = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];
    const loader = realpathSync(loaders.find((path) => existsSync(path)) ?? '');
    const secret = secretFile(0o644);
    const open = join(folder, 'open');
    writeFileSync(open, 'for everybody');
    const cat = async (program: readonly [string, ...string[]]) =>
      (await launch({ argv: program, landlock: { read: [open] } })).stdout;
    expect(await cat(['/usr/bin/cat', open])).toBe('for everybody');
    // cat itself may not be executed below, only read; its loader may.
    expect(await cat([loader, '/usr/bin/cat', open])).toBe('for everybody');
    expect(await cat([loader, '/usr/bin/cat', secret])).toBe('');
  });
});
