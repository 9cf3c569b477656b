import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BubblewrapLaunch } from '../../src/isolation/bubblewrap.ts';

/** Of open(2); Node has no name for it. */
const O_PATH = 0o10000000;

export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Starts bwrap as the supervisor will: an empty environment, binds and data as descriptors. The
 * real thing opens the binds in the launcher, with openat2 and RESOLVE_NO_SYMLINKS.
 */
export async function startBubblewrap(
  launch: BubblewrapLaunch,
  first: number,
  identity: { uid?: number; gid?: number } = {},
): Promise<Finished> {
  const folder = mkdtempSync(join(tmpdir(), 'bwrap-data-'));
  const open = new Map<number, number>();
  for (const { descriptor, path } of launch.binds) open.set(descriptor, openSync(path, O_PATH));
  for (const { descriptor, text } of launch.data) {
    const file = join(folder, `${descriptor}`);
    writeFileSync(file, text);
    open.set(descriptor, openSync(file, 'r'));
  }
  const last = Math.max(first, ...open.keys());
  const extra = Array.from({ length: last - 2 }, (_, index) => open.get(index + 3) ?? 'ignore');
  const child = spawn('bwrap', [...launch.argv], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe', ...extra],
    ...identity,
  });
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => (text.stdout += chunk));
  child.stderr?.on('data', (chunk) => (text.stderr += chunk));
  const ended = await new Promise<{ code: number | null; signal: string | null }>(
    (resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    },
  );
  for (const descriptor of open.values()) closeSync(descriptor);
  rmSync(folder, { recursive: true });
  return { ...ended, ...text };
}
