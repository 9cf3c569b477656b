import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { encodeLaunchTable, type LaunchRow } from './launch-table.ts';
import type { Launcher } from './launcher.ts';

/** How a launcher that executes no program ended. */
export interface LauncherRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What came from the report descriptor, at most 4 KiB. */
  readonly report: Uint8Array;
}

/** What `stdio` above asks for; the types of Node end at index 4. */
type LauncherStdio = readonly [null, null, null, null, Writable, Readable];

export interface LauncherRunOptions {
  readonly timeoutMs?: number;
  /** Of ours, for the launcher: descriptors 6, 7 … */
  readonly descriptors?: readonly number[];
}

const REPORT_BYTES_MAX = 4096;

/**
 * Runs a short table that ends in `exit_group`: a question to the kernel, or the kill of a user's
 * processes. A launcher that takes longer than `timeoutMs` is killed.
 *
 * @throws {EnforceError} for rows that cannot be encoded; whatever spawn reports when the launcher
 *   cannot be started at all
 */
export async function runLauncher(
  launcher: Launcher,
  rows: readonly LaunchRow[],
  { timeoutMs = 5000, descriptors = [] }: LauncherRunOptions = {},
): Promise<LauncherRun> {
  const bytes = encodeLaunchTable(rows, launcher.architecture);
  return new Promise((resolve, reject) => {
    const child = spawn(launcher.path, [], {
      stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'pipe', 'pipe', ...descriptors],
      env: {},
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const [, , , , table, report] = child.stdio as readonly unknown[] as LauncherStdio;
    const chunks: Buffer[] = [];
    // A launcher that is gone closes its ends; its exit says why, so these errors carry no news.
    table.on('error', () => undefined);
    report.on('error', () => undefined);
    report.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      resolve({
        exitCode,
        signal,
        report: Buffer.concat(chunks).subarray(0, REPORT_BYTES_MAX),
      });
    });
    table.end(bytes);
  });
}
