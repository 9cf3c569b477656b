import { chmodSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallIdentities } from './call-identity.ts';
import type { LayerSupport } from './host-support.ts';
import { buildLaunchRows } from './launch-table-rows.ts';
import type { Launcher } from './launcher.ts';
import { decodeLaunchReport } from './launcher-report.ts';
import { runLauncher } from './launcher-run.ts';
import { openOwners, writePathOwners } from './write-path-owners.ts';

const REMEDY =
  'run the supervisor as the owner of the write paths, or put them on ext4, xfs, btrfs or tmpfs';

/**
 * Whether a call of its own user can write for somebody else: it makes a file in a temporary folder
 * and looks to whom it belongs. A write path on another file system may still answer otherwise.
 */
export async function probeMappedOwners(
  launcher: Launcher,
  identities: CallIdentities,
): Promise<LayerSupport> {
  const layer = 'mapped-owners';
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'enforcecore-owner-')));
  const id = identities.take();
  try {
    chmodSync(folder, 0o700);
    const cause = await writeAs(launcher, folder, id);
    if (cause !== null) return { layer, works: false, cause, remedy: REMEDY };
    return { layer, works: true, detail: 'files in write paths belong to the owner of the folder' };
  } catch (error) {
    const cause = error instanceof Error ? error.message : 'unknown error';
    return { layer, works: false, cause, remedy: REMEDY };
  } finally {
    identities.release(id);
    rmSync(folder, { recursive: true });
  }
}

/** @returns why it did not work; null when the file belongs to the owner of the folder */
async function writeAs(launcher: Launcher, folder: string, id: number): Promise<string | null> {
  const file = join(folder, 'file');
  const owned = writePathOwners([folder]);
  const rows = [
    ...buildLaunchRows({
      cgroupProcsFiles: [],
      rlimits: { nofile: 16, fsizeBytes: 4096, core: 0 },
      identity: { uid: id, gid: id },
      parentPid: process.pid,
      landlock: null,
      seccomp: null,
      argv: ['/'],
      env: {},
      cwd: '/',
      closeFrom: 3,
      owners: owned.map(({ paths }) => paths),
    }).slice(0, -2),
    createRow(file),
    exitRow(),
  ];
  const open = await openOwners(launcher, owned, id);
  const run = await runLauncher(launcher, rows, { descriptors: open.descriptors }).finally(
    open.close,
  );
  if (run.exitCode !== 0) {
    const outcome = decodeLaunchReport(run.report, [rows]);
    return outcome.state === 'executed' ? 'the launcher did not end' : outcome.cause;
  }
  const { uid } = statSync(file);
  return uid === statSync(folder).uid ? null : `a file that a call made belongs to uid ${uid}`;
}

const AT_FDCWD = -100;
const O_CREAT_EXCL_WRONLY = 0o301;

function createRow(file: string) {
  const args = [AT_FDCWD, { text: file }, O_CREAT_EXCL_WRONLY, 0o600];
  return { call: 'openat', args, mode: 'must-succeed', purpose: 'make a file there' } as const;
}

function exitRow() {
  return { call: 'exit_group', args: [0], mode: 'must-succeed', purpose: 'exit' } as const;
}
