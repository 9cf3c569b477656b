// Files that a call's own user writes should land as the owner of the folder. Linux maps owners per
// mount (5.12): on disk `owner`, to the call `id`, and the other way round. The mount is made in a
// mount namespace of the launcher's, over the folder itself, so that every later open of the path,
// bwrap's bind source among them, goes through it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { isolationUnavailable } from './host-support-error.ts';
import { encodeLaunchTable, type LaunchRow, littleEndian } from './launch-table.ts';
import type { Launcher } from './launcher.ts';

/** Whom a user namespace maps to whom: one user and one group. */
export interface IdMapping {
  /** The folder's, on disk. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The call's, user and group alike. */
  readonly id: number;
}

/** An open user namespace that holds a mapping. Whoever opened it closes it. */
export interface OpenMapping {
  /** For the launcher; close-on-exec here, so it has to be handed on. */
  readonly descriptor: number;
  readonly close: () => void;
}

const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNS = 0x20000;
const TABLE = 4;
const REPORT = 5;
const HELPER_MS_MAX = 5000;

/** A launcher that makes a user namespace, says so, and waits until its table ends. */
const HELPER_ROWS: readonly LaunchRow[] = [
  must('unshare', [CLONE_NEWUSER], 'make a user namespace'),
  must('write', [REPORT, { text: '.' }, 1], 'say that it is there'),
  must('read', [TABLE, { slot: 'rest' }, 1], 'wait'),
  must('exit_group', [0], 'exit'),
];

/**
 * Opens a user namespace with a mapping for idmapped mounts. Takes about 3 ms and leaves no process.
 *
 * @throws {IsolationUnavailableError} where user namespaces are switched off, or the supervisor may
 * not map other ids (it has to be root)
 */
export async function openIdMapping(launcher: Launcher, mapping: IdMapping): Promise<OpenMapping> {
  const child = spawn(launcher.path, [], {
    stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: {},
    timeout: HELPER_MS_MAX,
    killSignal: 'SIGKILL',
  });
  const [, , , , table, report] = child.stdio as readonly unknown[] as HelperStdio;
  // Its report and its end say what happened; a broken pipe adds nothing.
  for (const stream of [table, report]) stream.on('error', () => undefined);
  try {
    table.write(encodeLaunchTable(HELPER_ROWS, launcher.architecture));
    await ready(child, report);
    return mapAndOpen(child.pid ?? 0, mapping);
  } catch (error) {
    throw isolationUnavailable(
      {
        cause: `the owner of a write path (uid ${mapping.owner.uid}) cannot be mapped to the call's user`,
        remedy: 'allow the supervisor user namespaces, or run it as the owner of the write paths',
      },
      error,
    );
  } finally {
    table.destroy();
    report.destroy();
    child.kill('SIGKILL');
  }
}

type HelperStdio = readonly [null, null, null, null, Writable, Readable];

async function ready(child: ChildProcess, report: Readable): Promise<void> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the launcher ended with ${signal ?? code}`);
  });
  // The first byte is `.`; a refusal is a record that begins with the number of a row.
  const said = once(report, 'data').then(([chunk]) => String(chunk));
  if ((await Promise.race([said, ended])) !== '.') throw new Error('no user namespace was made');
  ended.catch(() => undefined);
}

function mapAndOpen(pid: number, { owner, id }: IdMapping): OpenMapping {
  writeFileSync(`/proc/${pid}/uid_map`, `${owner.uid} ${id} 1\n`);
  writeFileSync(`/proc/${pid}/gid_map`, `${owner.gid} ${id} 1\n`);
  const descriptor = openSync(`/proc/${pid}/ns/user`, 'r');
  return { descriptor, close: () => closeSync(descriptor) };
}

/** One write path, and the descriptor on which the launcher finds the mapping of its owner. */
export interface MappedPath {
  /** Real path. */
  readonly path: string;
  readonly mapping: number;
}

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const O_PATH_CLOEXEC = 0x280000;
const OPEN_TREE_CLONE_CLOEXEC = 0x80001;
const RESOLVE_NO_SYMLINKS = 0x04;
const MOUNT_ATTR_IDMAP = 0x100000;
const MOVE_MOUNT_EMPTY_PATHS = 0x44;
const MS_REC_PRIVATE = 0x44000;

/**
 * The rows that put an idmapped mount over each write path, in a mount namespace of their own. They
 * come before any row that opens such a path, and close the mappings when they are done.
 *
 * @param firstFree - the lowest descriptor that is not open; this one and the next are used
 * @see mount_setattr(2), "ID-mapped mounts"
 */
export function mappedPathRows(
  paths: readonly MappedPath[],
  firstFree: number,
): readonly LaunchRow[] {
  if (paths.length === 0) return [];
  const root = { text: '/' };
  return [
    must('unshare', [CLONE_NEWNS], 'make a mount namespace'),
    must('mount', [root, root, 0, MS_REC_PRIVATE, 0], 'keep its mounts to itself'),
    ...paths.flatMap((path) => mountRows(path, firstFree)),
    ...[...new Set(paths.map(({ mapping }) => mapping))].map((mapping) =>
      must('close', [mapping], 'close a mapping of owners'),
    ),
  ];
}

function mountRows({ path, mapping }: MappedPath, folder: number): readonly LaunchRow[] {
  const mount = folder + 1;
  const empty = { text: '' };
  const how = littleEndian([BigInt(O_PATH_CLOEXEC), 0n, BigInt(RESOLVE_NO_SYMLINKS)]);
  // struct mount_attr: u64 to set, u64 to clear, u64 propagation, u64 user namespace.
  const attributes = littleEndian([BigInt(MOUNT_ATTR_IDMAP), 0n, 0n, BigInt(mapping)]);
  return [
    {
      call: 'openat2',
      args: [AT_FDCWD, { text: path }, { bytes: how }, how.length],
      mode: 'must-equal',
      value: folder,
      purpose: `open \`${path}\` without following a symlink`,
    },
    {
      call: 'open_tree',
      args: [folder, empty, OPEN_TREE_CLONE_CLOEXEC | AT_EMPTY_PATH],
      mode: 'must-equal',
      value: mount,
      purpose: `copy the mount of \`${path}\``,
    },
    must(
      'mount_setattr',
      [mount, empty, AT_EMPTY_PATH, { bytes: attributes }, attributes.length],
      `map the owner of \`${path}\` to the call's user, which its file system must support`,
    ),
    must(
      'move_mount',
      [mount, empty, folder, empty, MOVE_MOUNT_EMPTY_PATHS],
      `mount over \`${path}\``,
    ),
    must('close', [mount], 'close the mount'),
    must('close', [folder], `close \`${path}\``),
  ];
}

function must(call: string, args: LaunchRow['args'], purpose: string): LaunchRow {
  return { call, args, mode: 'must-succeed', purpose };
}
