import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeLaunchTable, type LaunchRow } from '../../src/isolation/launch-table.ts';
import type { LaunchTableInput } from '../../src/isolation/launch-table-rows.ts';
import { decodeLaunchReport } from '../../src/isolation/launcher-report.ts';
import { isRoot, lacks, launcher, OTHER_USER, rowsOf, SYSTEM_RULES } from './launched-program.ts';

// Two launchers: one that joins cgroups and starts bubblewrap, one inside that does the rest. Both
// tables are sent over the same descriptor, both reports come back over the same one.

const LAUNCHER = 6;
const FIRST_PATH = 7;
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'chain-')));
const shared = join(folder, 'shared');
mkdirSync(shared);
writeFileSync(join(shared, 'note'), 'from outside');
afterAll(() => rmSync(folder, { recursive: true }));

function outerRows(
  bindSource: string,
  innerProgram = `/proc/self/fd/${LAUNCHER}`,
): readonly LaunchRow[] {
  return rowsOf(
    {
      argv: [
        '/usr/bin/bwrap',
        ...[
          '--unshare-all',
          '--ro-bind',
          '/usr',
          '/usr',
          '--symlink',
          'usr/lib64',
          '/lib64',
          '--symlink',
          'usr/lib',
          '/lib',
        ],
        ...['--symlink', 'usr/bin', '/bin', '--proc', '/proc', '--dev', '/dev'],
        ...['--ro-bind', `/proc/self/fd/${FIRST_PATH}`, '/shared'],
        ...['--', innerProgram],
      ],
      profile: null,
      landlock: null,
      table: {
        tableFollows: true,
        keepCapabilities: true,
        closeFrom: FIRST_PATH,
        paths: [bindSource],
      },
    },
    0,
  );
}

const ROOT_WAY = ['pid', 'net', 'ipc', 'uts', 'cgroup'].map((kind) => `--unshare-${kind}`);

function innerRows(command: string, table: Partial<LaunchTableInput> = {}): readonly LaunchRow[] {
  return rowsOf(
    {
      argv: ['/usr/bin/sh', '-c', command],
      profile: 'compat',
      situation: { tier: 'isolated', exec: 'any' },
      table: {
        parentPid: null,
        landlock: {
          ...SYSTEM_RULES,
          read: ['/usr', '/shared', '/proc'],
          write: ['/dev/null'],
          execute: ['/usr'],
          ownProc: false,
        },
        ...table,
      },
    },
    0,
  );
}

const INNER = innerRows('cat /shared/note; ls /proc/self/fd | tr "\\n" " "');

async function run(outer: readonly LaunchRow[], inner: readonly LaunchRow[]) {
  const child = spawn(launcher.path, [], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe', 'pipe', 'pipe', launcher.descriptor],
    env: {},
  });
  const [, stdout, , , table, report] = child.stdio as unknown as Readable[];
  const output: Buffer[] = [];
  const records: Buffer[] = [];
  stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  report?.on('data', (chunk: Buffer) => records.push(chunk));
  table?.on('error', () => undefined);
  const writable = table as unknown as Writable;
  writable.write(encodeLaunchTable(outer, launcher.architecture, 0));
  writable.end(encodeLaunchTable(inner, launcher.architecture, 1));
  const [exitCode] = await once(child, 'close');
  const outcome = decodeLaunchReport(Buffer.concat(records), [outer, inner]);
  return { exitCode, outcome, stdout: Buffer.concat(output).toString() };
}

describe.skipIf(lacks('bwrap', existsSync('/usr/bin/bwrap')))(
  'a launcher behind bubblewrap',
  () => {
    test('runs the program with no descriptor but its own', async () => {
      // 0 to 3, and the one that ls opens.
      expect(await run(outerRows(shared), INNER)).toMatchObject({
        exitCode: 0,
        outcome: { state: 'executed' },
        stdout: 'from outside0 1 2 3 4 ',
      });
    });

    test.skipIf(lacks('root', isRoot))('becomes another user, without privileges', async () => {
      // As root, bubblewrap makes its mounts without a user namespace; the launcher inside drops what
      // that took.
      const outer = outerRows(shared).map((row) => ({
        ...row,
        args: row.args.map((argument) =>
          typeof argument === 'object' && 'texts' in argument
            ? {
                texts: argument.texts.flatMap((text) =>
                  text === '--unshare-all' ? ROOT_WAY : text,
                ),
              }
            : argument,
        ),
      }));
      const inner = innerRows(
        'id -u; id -g; id -G; grep -h -e ^Cap -e NoNew -e Seccomp: /proc/self/status',
        { identity: OTHER_USER },
      );
      const { outcome, stdout } = await run(outer, inner);
      expect(outcome).toEqual({ state: 'executed' });
      const [uid, gid, groups, ...status] = stdout.trim().split('\n');
      expect([uid, gid, groups]).toEqual(['200123', '200123', '200123']);
      expect(status.map((line) => line.replace(/\s+/, ' '))).toEqual([
        ...['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}: 0000000000000000`),
        'NoNewPrivs: 1',
        'Seccomp: 2',
      ]);
    });

    test('is not reached when a bind source became a symlink', async () => {
      const link = join(folder, 'link');
      symlinkSync(shared, link);
      expect((await run(outerRows(link), INNER)).outcome).toMatchObject({
        state: 'refused',
        stage: 0,
        cause: `could not open \`${link}\` without following a symlink: ELOOP`,
      });
    });

    test('says which of the two refused', async () => {
      const inner = INNER.map((row) =>
        row.call === 'chdir' ? { ...row, args: [{ text: '/no' }] } : row,
      );
      expect((await run(outerRows(shared), inner)).outcome).toMatchObject({
        state: 'refused',
        stage: 1,
        cause: 'could not change to `/`: ENOENT',
      });
    });

    test('is not taken for a program that ran when bubblewrap fails', async () => {
      const { exitCode, outcome } = await run(outerRows(shared, '/absent'), INNER);
      expect(exitCode).toBe(1);
      expect(outcome).toEqual({ state: 'died', cause: 'the launcher ended after 1 of 2 stages' });
    });
  },
);
