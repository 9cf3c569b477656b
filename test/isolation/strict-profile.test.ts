import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadBuiltinProfile } from '../../src/isolation/seccomp-builtin.ts';
import { isSyscallName } from '../../src/isolation/seccomp-syscalls.ts';
import { lacks } from './launched-program.ts';

// `strict` must have a rule for every system call that Node makes for a friendly tool. What Node 20,
// 22 and 24 make was recorded from test/fixtures/tools/every-node-api.mjs: on x86-64 with strace, on
// arm64 with the -strace of qemu's user mode.

const RECORDED: Record<string, Record<string, readonly string[]>> = JSON.parse(
  readFileSync('test/vectors/node-syscalls.json', 'utf8'),
);
/** libuv tries to keep the owner of a copied file, and goes on without. */
const REFUSED_ON_PURPOSE = ['fchown'];
const { ENFORCECORE_TEST_SLOW } = process.env;

const ruled = new Set(loadBuiltinProfile('strict').rules.flatMap(({ names }) => names));
const missing = (names: readonly string[]) =>
  names.filter((name) => !ruled.has(name) && !REFUSED_ON_PURPOSE.includes(name));

describe.each(Object.entries(RECORDED))('on %s', (_, versions) => {
  test.each(Object.entries(versions))(
    'strict rules on every call of Node %s',
    (_version, names) => {
      expect(names.length).toBeGreaterThan(90);
      expect(names.filter((name) => !isSyscallName(name))).toEqual([]);
      expect(missing(names)).toEqual([]);
    },
  );
});

test.skipIf(ENFORCECORE_TEST_SLOW !== '1' || lacks('strace', existsSync('/usr/bin/strace')))(
  'strict rules on every call of this Node',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'strace-'));
    const trace = join(folder, 'trace');
    const tool = resolve('test/fixtures/tools/every-node-api.mjs');
    const run = spawnSync('strace', ['-f', '-qq', '-o', trace, process.execPath, tool], {
      cwd: folder,
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    const lines = readFileSync(trace, 'utf8').matchAll(/^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]/gm);
    const names = new Set([...lines].map(([, name]) => name ?? '').filter(isSyscallName));
    rmSync(folder, { recursive: true });
    expect(run.status).toBe(0);
    expect(names.size).toBeGreaterThan(90);
    expect(missing([...names])).toEqual([]);
  },
  90_000,
);

test('strict allows what V8 does on processors with protection keys', () => {
  // Without pkey_mprotect, Node 20 ends there with `Committing semi space failed`; most development
  // machines do not have them, so nothing but this tells.
  expect(missing(['pkey_alloc', 'pkey_free', 'pkey_mprotect'])).toEqual([]);
});

test('strict has no rule for what gives a tool power over the host', () => {
  const powers =
    'mount umount2 pivot_root chroot setns unshare ptrace bpf perf_event_open userfaultfd keyctl add_key request_key init_module finit_module delete_module kexec_load reboot swapon acct quotactl syslog open_by_handle_at name_to_handle_at memfd_create execveat personality seccomp shmget semget msgget mq_open pidfd_open process_vm_readv kcmp mknod mknodat setxattr chown fchownat';
  expect(powers.split(' ').filter((name) => ruled.has(name))).toEqual([]);
  expect(powers.split(' ').filter((name) => !isSyscallName(name))).toEqual([]);
});
