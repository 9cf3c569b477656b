import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** An empty project of a user who has installed this package, with a home of its own. */
export interface Project {
  readonly folder: string;
  write(name: string, text: string): void;
  /** Runs a script as `bash` does what is typed: both outputs in one. */
  sh(script: string): { readonly output: string; readonly status: number | null };
  remove(): void;
}

/** How a careful user of the package compiles. */
export const COMPILER: readonly string[] = [
  ...['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', '--ignoreConfig'],
  ...['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable'],
  ...['--types', 'node'],
];

const SCRIPT_MS_MAX = 60_000;

/** The owner removes it. */
export function makeProject(): Project {
  const root = mkdtempSync(join(tmpdir(), 'enforcecore-docs-'));
  // The tools of a root supervisor run as somebody else, who must find them.
  chmodSync(root, 0o755);
  const folder = join(root, 'project');
  const home = join(root, 'home');
  const bin = join(folder, 'node_modules/.bin');
  for (const each of [home, bin, join(folder, 'node_modules/@types')]) {
    mkdirSync(each, { recursive: true });
  }
  symlinkSync(process.cwd(), join(folder, 'node_modules/enforcecore'));
  symlinkSync(join(process.cwd(), 'bin/enforcecore.js'), join(bin, 'enforcecore'));
  // Without asking the registry, as `npx` does not for what is installed.
  writeFileSync(join(bin, 'npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  for (const types of ['@types/node', 'undici-types', 'pino']) {
    symlinkSync(join(process.cwd(), 'node_modules', types), join(folder, 'node_modules', types));
  }
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), `${text}\n`);
  };
  write('package.json', '{ "name": "project", "type": "module", "private": true }');
  const path = [bin, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'];
  const env = { PATH: path.join(delimiter), HOME: home, LANG: 'C.UTF-8', NO_COLOR: '1' };
  const sh = (script: string) => {
    const words = ['-c', `exec 2>&1\n${script}`];
    const { stdout, status } = spawnSync('bash', words, {
      cwd: folder,
      env,
      encoding: 'utf8',
      timeout: SCRIPT_MS_MAX,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return { output: stdout, status };
  };
  return { folder, write, sh, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/**
 * Whether an output is what a page shows. `…` in a line stands for anything in it; a line that is
 * nothing else stands for any lines.
 */
export function fitsShown(output: string, shown: string): boolean {
  const lines = shown.trim().split('\n');
  const source = lines
    .map((line) => (line.trim() === '…' ? '(?:.*\n)*' : `${lineSource(line)} *\n`))
    .join('');
  return new RegExp(`^${source}$`).test(`${output.trim()}\n`);
}

function lineSource(line: string): string {
  return line
    .trimEnd()
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
}
