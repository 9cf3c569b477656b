// The launcher's program is embedded as bytes and executed through a descriptor: it is written to a
// private folder, opened, unlinked, and its digest is checked on the open descriptor, so that nothing
// on disk can be swapped between the check and the start, and nothing is left there.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { IsolationUnavailableError } from '../errors.ts';
import { LAUNCHER_REFUSED } from './launch-table.ts';
import { LAUNCHER_IMAGES } from './launcher-images.ts';
import type { Architecture } from './seccomp-syscalls.ts';

/** An opened, verified launcher. Whoever opened it closes it. */
export interface Launcher {
  /** What to spawn. Works while the descriptor is open, also for a file that is unlinked. */
  readonly path: string;
  readonly descriptor: number;
  readonly architecture: Architecture;
  /** SHA-256 of the program, hexadecimal. */
  readonly digest: string;
  /** Throws unless the descriptor still holds the bytes that were opened. */
  verify(): void;
  close(): void;
}

/** Where a launcher may be written, first choice first. A folder mounted noexec is passed over. */
export interface LauncherOptions {
  readonly folders?: readonly string[];
  readonly architecture?: string;
}

/** Above every index a child's stdio may have: libuv puts those over what the child inherited. */
const DESCRIPTOR_MIN = 32;

/**
 * Opens the launcher of this architecture and runs it once with an empty table.
 *
 * @throws {IsolationUnavailableError} on another architecture, or when it runs from none of the
 *   folders; `details.attempts` says why for each
 */
export function openLauncher(options: LauncherOptions = {}): Launcher {
  const architecture = supported(options.architecture ?? process.arch);
  const { XDG_RUNTIME_DIR } = process.env;
  const folders = options.folders ?? [tmpdir(), XDG_RUNTIME_DIR, '/dev/shm', homedir()];
  const attempts: { folder: string; cause: string }[] = [];
  for (const folder of folders) {
    if (folder === undefined) continue;
    try {
      return openIn(folder, architecture);
    } catch (error) {
      attempts.push({ folder, cause: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new IsolationUnavailableError(
    'ENF_ISOLATION_UNAVAILABLE',
    `the launcher runs from none of ${folders.length} folders; mount one of them without noexec`,
    { details: { attempts } },
  );
}

function supported(architecture: string): Architecture {
  if (architecture === 'x64' || architecture === 'arm64') return architecture;
  throw new IsolationUnavailableError(
    'ENF_ISOLATION_UNAVAILABLE',
    `the launcher exists for x64 and arm64, got \`${architecture}\``,
  );
}

function openIn(folder: string, architecture: Architecture): Launcher {
  const { base64, sha256: digest } = LAUNCHER_IMAGES[architecture];
  const descriptor = openUnlinked(folder, Buffer.from(base64, 'base64'));
  const launcher: Launcher = {
    path: `/proc/self/fd/${descriptor}`,
    descriptor,
    architecture,
    digest,
    verify: () => verifyDigest(descriptor, digest),
    close: () => closeSync(descriptor),
  };
  try {
    launcher.verify();
    runEmpty(launcher);
    return launcher;
  } catch (error) {
    launcher.close();
    throw error;
  }
}

function openUnlinked(folder: string, bytes: Uint8Array): number {
  const own = mkdtempSync(join(folder, 'enforcecore-'));
  try {
    const file = join(own, 'launcher');
    // Not writable even for its owner: a confined process of the same user may not chmod it.
    writeFileSync(file, bytes, { flag: 'wx', mode: 0o555 });
    return openAbove(DESCRIPTOR_MIN, file);
  } finally {
    rmSync(own, { recursive: true });
  }
}

/** Descriptors are given out lowest first: opens until one is high enough, keeps only that one. */
function openAbove(least: number, file: string): number {
  const low: number[] = [];
  try {
    for (;;) {
      const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
      if (descriptor >= least) return descriptor;
      low.push(descriptor);
    }
  } finally {
    for (const descriptor of low) closeSync(descriptor);
  }
}

function verifyDigest(descriptor: number, expected: string): void {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual === expected) return;
  throw new IsolationUnavailableError(
    'ENF_ISOLATION_UNAVAILABLE',
    `the launcher's SHA-256 is \`${actual}\`, expected \`${expected}\``,
  );
}

/** A launcher that runs at all refuses a table that ends before it begins. */
function runEmpty(launcher: Launcher): void {
  const run = spawnSync(launcher.path, [], {
    stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'ignore', 'ignore'],
    env: {},
    timeout: 5000,
  });
  if (run.status === LAUNCHER_REFUSED) return;
  throw new IsolationUnavailableError(
    'ENF_ISOLATION_UNAVAILABLE',
    `the launcher did not refuse an empty table: ${endOf(run)}`,
  );
}

function endOf(run: SpawnSyncReturns<Buffer>): string {
  return run.error?.message ?? run.signal ?? `exit code ${run.status}`;
}
