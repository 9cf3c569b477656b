import { dirname, isAbsolute, join } from 'node:path';
import type { ReadOnlyFiles } from './filesystem-view-files.ts';

/** Linux follows at most five interpreters (BINPRM recursion in fs/exec.c). */
const DEPTH_MAX = 5;
const HEAD_BYTES = 4096;
const PT_INTERP = 3;
const SEARCH_PATH = ['/usr/local/bin', '/usr/bin', '/bin'];

/** The files that the kernel opens for execution when a program starts. */
export interface ProgramChain {
  /** Real paths: the program, the interpreters of scripts, the dynamic loader. */
  readonly execute: readonly string[];
  /** The names the kernel looks up, where they are not real paths (`/lib64/ld-linux-x86-64.so.2`). */
  readonly names: readonly string[];
}

/**
 * Follows `#!` lines and the ELF interpreter from a program.
 *
 * execve(2) needs execute rights on each of them (Landlock checks the opening of interpreters too).
 * `#!/usr/bin/env NAME` looks NAME up in the usual folders.
 *
 * @param program - real path
 */
export function programChain(program: string, files: ReadOnlyFiles): ProgramChain {
  const execute: string[] = [];
  const names: string[] = [];
  let waiting = [program];
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    const next: string[] = [];
    for (const name of waiting) {
      const real = files.realPath(name);
      if (real === null || files.kind(real) !== 'file' || execute.includes(real)) continue;
      if (real !== name) names.push(name);
      execute.push(real);
      next.push(...interpretersOf(files.head(real, HEAD_BYTES), files));
    }
    waiting = next;
  }
  return { execute, names };
}

function interpretersOf(head: Uint8Array, files: ReadOnlyFiles): readonly string[] {
  if (head[0] === 0x23 && head[1] === 0x21) return scriptInterpreters(head, files);
  const loader = elfInterpreter(head);
  return loader === null ? [] : [loader];
}

function scriptInterpreters(head: Uint8Array, files: ReadOnlyFiles): readonly string[] {
  const line = Buffer.from(head).toString('latin1', 2).split('\n', 1)[0] ?? '';
  const [interpreter = '', ...args] = line.trim().split(/[ \t]+/);
  if (!isAbsolute(interpreter)) return [];
  if (!interpreter.endsWith('/env')) return [interpreter];
  const name = args.find((arg) => !arg.startsWith('-') && !arg.includes('='));
  if (name === undefined) return [interpreter];
  const found = name.includes('/')
    ? name
    : SEARCH_PATH.map((folder) => join(folder, name)).find((path) => files.kind(path) !== null);
  return found === undefined ? [interpreter] : [interpreter, found];
}

/** The `PT_INTERP` string of a 64-bit little-endian ELF file, when its head holds it (elf(5)). */
function elfInterpreter(head: Uint8Array): string | null {
  if (head.length < 64) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) return null;
  const table = Number(view.getBigUint64(32, true));
  const entrySize = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  for (let index = 0; index < count; index += 1) {
    const at = table + index * entrySize;
    if (entrySize < 56 || at + entrySize > head.length) return null;
    if (view.getUint32(at, true) !== PT_INTERP) continue;
    const start = Number(view.getBigUint64(at + 8, true));
    const end = start + Number(view.getBigUint64(at + 32, true)) - 1;
    const path = end <= head.length ? Buffer.from(head.subarray(start, end)).toString('utf8') : '';
    return isAbsolute(path) && dirname(path) !== path ? path : null;
  }
  return null;
}
