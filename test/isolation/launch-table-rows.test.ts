import { describe, expect, test } from 'vitest';
import type { LandlockRules } from '../../src/isolation/landlock.ts';
import { explainLaunchTable } from '../../src/isolation/launch-table-explain.ts';
import {
  buildKillRows,
  buildLaunchRows,
  type LaunchTableInput,
} from '../../src/isolation/launch-table-rows.ts';

const LANDLOCK: LandlockRules = {
  abi: 6,
  read: ['/usr'],
  write: ['/scratch'],
  execute: ['/usr/bin/node'],
  unixSockets: [],
  ownProc: true,
  denyTcpAndUdp: true,
};
const INPUT: LaunchTableInput = {
  cgroupProcsFiles: ['/sys/fs/cgroup/memory/call/cgroup.procs', '/sys/fs/cgroup/pids/call/tasks'],
  rlimits: { nofile: 64, fsizeBytes: 1000, cpuSeconds: 3, nproc: 20, core: 1 },
  identity: { uid: 2001, gid: 2002 },
  parentPid: 77,
  landlock: LANDLOCK,
  seccomp: new Uint8Array(16),
  argv: ['/usr/bin/node', '/tool.js'],
  env: { LANG: 'C' },
  cwd: '/scratch',
  closeFrom: 4,
};

/** The purposes in order, without the 64 rows of the bounding set. */
function purposes(changes: Partial<LaunchTableInput> = {}): readonly string[] {
  return buildLaunchRows({ ...INPUT, ...changes })
    .map(({ purpose }) => purpose)
    .filter((purpose) => !purpose.includes('from the bounding set'));
}

describe('buildLaunchRows', () => {
  test('takes everything away in the order that makes it hold', () => {
    expect(purposes()).toEqual([
      'see the end of the table',
      'close the descriptors that are not ours',
      'open `/sys/fs/cgroup/memory/call/cgroup.procs`',
      'join the cgroup through `/sys/fs/cgroup/memory/call/cgroup.procs`',
      'close `/sys/fs/cgroup/memory/call/cgroup.procs`',
      'open `/sys/fs/cgroup/pids/call/tasks`',
      'join the cgroup through `/sys/fs/cgroup/pids/call/tasks`',
      'close `/sys/fs/cgroup/pids/call/tasks`',
      'set RLIMIT_CPU to 3',
      'set RLIMIT_FSIZE to 1000',
      'set RLIMIT_CORE to 1',
      'set RLIMIT_NPROC to 20',
      'ask to be killed with the supervisor',
      'leave all groups',
      'become group 2002',
      'become user 2001',
      'ask to be killed with the supervisor',
      'clear the ambient capabilities',
      'drop all capabilities',
      'find the supervisor (pid 77) alive',
      'change to `/scratch`',
      'set no_new_privs',
      'make a Landlock ruleset (ABI 6)',
      'open `/usr` without following a symlink',
      'grant read `/usr`',
      'grant read `/usr`, if it is a folder',
      'close `/usr`',
      'open `/scratch` without following a symlink',
      'grant write `/scratch`',
      'grant write `/scratch`, if it is a folder',
      'close `/scratch`',
      'open `/usr/bin/node` without following a symlink',
      'grant execute `/usr/bin/node`',
      'grant execute `/usr/bin/node`, if it is a folder',
      'close `/usr/bin/node`',
      ...['status', 'stat', 'statm', 'maps', 'cgroup', 'limits', 'comm', 'cmdline'].flatMap(
        (name) => [
          `open \`/proc/self/${name}\``,
          `grant read \`/proc/self/${name}\``,
          `grant read \`/proc/self/${name}\`, if it is a folder`,
          `close \`/proc/self/${name}\``,
        ],
      ),
      'apply the Landlock ruleset',
      'keep descriptors from the program',
      'set RLIMIT_NOFILE to 64',
      'apply the system call filter',
      'report that the confinement is in force',
      'execute `/usr/bin/node`',
    ]);
  });

  test('drops every capability of the bounding set that the kernel can have', () => {
    const drops = buildLaunchRows(INPUT).filter(({ purpose }) => purpose.includes('bounding set'));
    expect(drops).toHaveLength(64);
    expect(drops.map(({ mode }) => mode)).toEqual([
      ...Array(41).fill('must-succeed'),
      ...Array(23).fill('may-fail'),
    ]);
  });

  test('leaves out what is not asked for', () => {
    const { nofile, fsizeBytes } = INPUT.rlimits;
    const bare = purposes({
      cgroupProcsFiles: [],
      rlimits: { nofile, fsizeBytes, core: 0 },
      identity: null,
      parentPid: null,
      landlock: null,
      seccomp: null,
    });
    expect(bare).toEqual([
      'see the end of the table',
      'close the descriptors that are not ours',
      'set RLIMIT_FSIZE to 1000',
      'set RLIMIT_CORE to 0',
      'ask to be killed with the supervisor',
      'clear the ambient capabilities',
      'drop all capabilities',
      'change to `/scratch`',
      'set no_new_privs',
      'keep descriptors from the program',
      'set RLIMIT_NOFILE to 64',
      'report that the confinement is in force',
      'execute `/usr/bin/node`',
    ]);
  });

  test('no row but the two kinds that say so may fail', () => {
    const forgiven = buildLaunchRows(INPUT).filter(({ mode }) => mode === 'may-fail');
    expect(
      forgiven.filter(
        ({ purpose }) => !/from the bounding set$|, if it is a folder$/.test(purpose),
      ),
    ).toEqual([]);
  });

  test('keeps opened paths for a program behind it', () => {
    const rows = buildLaunchRows({
      ...INPUT,
      landlock: null,
      closeFrom: 8,
      paths: ['/a', '/b'],
      tableFollows: true,
      keepCapabilities: true,
    });
    expect(rows[0]).toMatchObject({ call: 'close_range', args: [8, 0xffffffff, 0] });
    expect(rows[1]).toMatchObject({ call: 'openat2', mode: 'must-equal', value: 8 });
    expect(rows[2]).toMatchObject({ call: 'openat2', mode: 'must-equal', value: 9 });
    const hide = rows.findLast(({ call }) => call === 'close_range');
    expect(hide).toMatchObject({ args: [10, 0xffffffff, 4] });
    expect(rows.map(({ call }) => call)).not.toContain('capset');
  });

  test('leaves no hole at descriptor 3 for a program without frames', () => {
    const rows = buildLaunchRows({ ...INPUT, closeFrom: 3 });
    expect(rows[1]).toMatchObject({ call: 'dup3', args: [4, 3, 0x80000], value: 3 });
    const hide = rows.findLast(({ call }) => call === 'close_range');
    expect(hide).toMatchObject({ args: [3, 0xffffffff, 4] });
  });

  test.each<[string, Partial<LaunchTableInput>]>([
    ['no program', { argv: [] }],
    ['a program without a folder', { argv: ['node'] }],
    ['a relative program', { argv: ['./node'] }],
    ['an empty environment name', { env: { '': 'x' } }],
    ['an environment name with =', { env: { 'A=B': 'x' } }],
    ['kept paths where its own descriptors are', { paths: ['/a'], closeFrom: 4 }],
  ])('refuses %s', (_, changes) => {
    expect(() => buildLaunchRows({ ...INPUT, ...changes })).toThrow(
      expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
    );
  });

  test('never names a value of the environment in an error', () => {
    const secret = `s${'ecret'}`;
    try {
      buildLaunchRows({ ...INPUT, env: { 'A=B': secret } });
    } catch (error) {
      expect(String(error)).not.toContain(secret);
    }
  });
});

test('buildKillRows acts as the victim, with a real and saved user nobody else has', () => {
  const rows = buildKillRows({ uid: 2001, gid: 2001, killerUid: 2002 });
  expect(rows.slice(-3)).toMatchObject([
    { call: 'setresuid', args: [2002, 2001, 2002], mode: 'must-succeed' },
    { call: 'kill', args: [-1, 9], mode: 'may-fail', errno: 3 },
    { call: 'exit_group' },
  ]);
});

test('explainLaunchTable shows each row, its call and what must hold, no value of the environment', () => {
  const rows = buildLaunchRows({ ...INPUT, identity: null, landlock: { ...LANDLOCK, read: [] } });
  const text = explainLaunchTable(rows);
  expect(text.split('\n')).toHaveLength(rows.length * 2 + 1);
  expect(text.split('\n').slice(0, 6)).toEqual([
    ' 0  see the end of the table',
    '      read(4, &rest, 1) must be 0',
    ' 1  close the descriptors that are not ours',
    '      close_range(6, 4294967295, 0)',
    ' 2  open `/sys/fs/cgroup/memory/call/cgroup.procs`',
    '      openat(-100, "/sys/fs/cgroup/memory/call/cgroup.procs", 524289) must be 6',
  ]);
  expect(text).toContain('execve("/usr/bin/node", ["/usr/bin/node","/tool.js"], {LANG})');
  expect(text).toContain('may be EINVAL');
  expect(text).toContain('seccomp(1, 0, {2 instructions})');
  expect(text).toContain('write(5, {this row}, 24) must be 24');
});
