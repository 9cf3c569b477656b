import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mappedPathRows, openIdMapping } from '../../src/isolation/call-identity-mounts.ts';
import { encodeLaunchTable, type LaunchRow } from '../../src/isolation/launch-table.ts';
import { buildLaunchRows } from '../../src/isolation/launch-table-rows.ts';
import { openLauncher } from '../../src/isolation/launcher.ts';
import { decodeLaunchReport } from '../../src/isolation/launcher-report.ts';
import { bubblewrapWorks, isRoot, lacks } from './host-layers.ts';

const ID = 1_879_048_200;
const MAPPING = 6;
type Stdio = readonly [null, Readable, Readable, unknown, Writable, Readable];

test('rows mount over every path and close each mapping once', () => {
  const rows = mappedPathRows(
    [
      { path: '/a', mapping: 6 },
      { path: '/b', mapping: 6 },
    ],
    9,
  );
  expect(rows.map(({ call }) => call)).toEqual([
    ...['unshare', 'mount'],
    ...['openat2', 'open_tree', 'mount_setattr', 'move_mount', 'close', 'close'],
    ...['openat2', 'open_tree', 'mount_setattr', 'move_mount', 'close', 'close'],
    'close',
  ]);
  expect(mappedPathRows([], 9)).toEqual([]);
});

describe.skipIf(lacks('root', isRoot))('a write path of a root supervisor', () => {
  const launcher = openLauncher();
  let folder = '';
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'mapped-')));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  afterAll(() => launcher.close());

  /** Runs a shell as the call's user, with the path mapped or not; its output and exit code. */
  async function asCall(
    script: string,
    path: string,
    owner: { uid: number; gid: number } | null,
    sandbox: readonly string[] = [],
  ): Promise<string> {
    const mapping = owner === null ? null : await openIdMapping(launcher, { owner, id: ID });
    const rows = buildLaunchRows({
      cgroupProcsFiles: [],
      rlimits: { nofile: 64, fsizeBytes: 1 << 20, core: 0 },
      identity: sandbox.length === 0 ? { uid: ID, gid: ID } : null,
      keepCapabilities: sandbox.length > 0,
      parentPid: process.pid,
      landlock: null,
      seccomp: null,
      argv: [...sandbox, '/bin/sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
      closeFrom: MAPPING + 1,
    });
    const mounts =
      mapping === null ? [] : mappedPathRows([{ path, mapping: MAPPING }], MAPPING + 1);
    const at = rows.findIndex(({ call }) => call === 'close_range') + 1;
    const all: readonly LaunchRow[] = [...rows.slice(0, at), ...mounts, ...rows.slice(at)];
    const child = spawn(launcher.path, [], {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', mapping?.descriptor ?? 'ignore'],
    });
    const [, stdout, stderr, , table, refusals] = child.stdio as readonly unknown[] as Stdio;
    let output = '';
    for (const stream of [stdout, stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    table.end(encodeLaunchTable(all, launcher.architecture));
    const report: Buffer[] = [];
    refusals.on('data', (chunk: Buffer) => report.push(chunk));
    const code = await new Promise((resolve) => child.once('close', resolve));
    mapping?.close();
    const outcome = decodeLaunchReport(Buffer.concat(report), [all]);
    return outcome.state === 'executed' ? `${output.trim()} [${code}]` : outcome.cause;
  }
  const own = (path: string, uid: number, gid: number): string => {
    mkdirSync(path);
    chownSync(path, uid, gid);
    return path;
  };

  test.each([
    [1000, 1000],
    [0, 0],
    [1000, 50],
  ])('of owner %i:%i gets files that belong to the owner', async (uid, gid) => {
    const out = own(join(folder, 'out'), uid, gid);
    const script = `echo text > ${out}/file && mkdir ${out}/sub && stat -c %u:%g ${out} ${out}/file | tr '\\n' ' '; id -u`;
    // Positive control: without the mapping the call's user may not write there.
    expect(await asCall(script, out, null)).toMatch(/[Pp]ermission denied/);
    expect(await asCall(script, out, { uid, gid })).toBe(`${ID}:${ID} ${ID}:${ID} ${ID} [0]`);
    expect(readFileSync(join(out, 'file'), 'utf8')).toBe('text\n');
    for (const name of ['file', 'sub'])
      expect(statSync(join(out, name))).toMatchObject({ uid, gid });
  });

  test.skipIf(lacks('bwrap', bubblewrapWorks()))('is mapped inside of bwrap too', async () => {
    const out = own(join(folder, 'out'), 1000, 1000);
    const sandbox = [
      ...['/usr/bin/bwrap', '--unshare-pid', '--cap-drop', 'ALL'],
      ...['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--ro-bind', '/usr', '/usr'],
      ...[
        '--symlink',
        'usr/bin',
        '/bin',
        '--symlink',
        'usr/lib',
        '/lib',
        '--symlink',
        'usr/lib64',
        '/lib64',
      ],
      ...['--perms', '0755', '--dir', dirname(folder), '--perms', '0755', '--dir', folder],
      ...[
        '--bind',
        out,
        out,
        '--',
        '/usr/bin/setpriv',
        `--reuid=${ID}`,
        `--regid=${ID}`,
        '--clear-groups',
      ],
    ];
    const script = `echo text > ${out}/file; id -u`;
    expect(await asCall(script, out, { uid: 1000, gid: 1000 }, sandbox)).toBe(`${ID} [0]`);
    expect(statSync(join(out, 'file'))).toMatchObject({ uid: 1000, gid: 1000, size: 5 });
  });

  test('gives no power over files of others, there or elsewhere', async () => {
    const out = own(join(folder, 'out'), 1000, 1000);
    writeFileSync(join(out, 'roots'), 'secret', { mode: 0o600 });
    const beside = own(join(folder, 'beside'), 1000, 1000);
    const script = `cat ${out}/roots; echo x > ${beside}/file; chown 0 ${out}`;
    expect(await asCall(script, out, { uid: 1000, gid: 1000 })).not.toContain('secret');
    expect(statSync(out).uid).toBe(1000);
    expect(() => statSync(join(beside, 'file'))).toThrow('ENOENT');
  });

  test('is mounted for the call alone', async () => {
    const out = own(join(folder, 'out'), 1000, 1000);
    await asCall(`echo x > ${out}/file`, out, { uid: 1000, gid: 1000 });
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(out);
  });

  test('that became a link refuses the launch', async () => {
    own(join(folder, 'elsewhere'), 1000, 1000);
    const out = join(folder, 'out');
    symlinkSync(join(folder, 'elsewhere'), out);
    const output = await asCall(`echo x > ${out}/file`, out, { uid: 1000, gid: 1000 });
    expect(output).toBe(`could not open \`${out}\` without following a symlink: ELOOP`);
  });

  test('of a launcher that cannot start is refused with a remedy', async () => {
    const broken = { ...launcher, path: '/bin/false' };
    await expect(
      openIdMapping(broken, { owner: { uid: 1, gid: 1 }, id: ID }),
    ).rejects.toMatchObject({
      code: 'ENF_ISOLATION_UNAVAILABLE',
      details: { remedy: expect.stringContaining('as the owner') },
    });
  });
});
