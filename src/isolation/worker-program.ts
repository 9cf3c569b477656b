import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WorkerSetup } from '../../worker/protocol.ts';
import type { WorkerSpec } from './runner.ts';

/** What a job's process executes, whatever is put around it. */
export interface WorkerProgram {
  readonly file: string;
  readonly args: readonly string[];
  /** `frames`: our worker, which loads the tool. `stdio`: the command itself. */
  readonly channel: 'frames' | 'stdio';
}

/** What a program is started with besides its tool. */
export interface ProgramOptions {
  /** For a worker in a sandbox. */
  readonly setup?: WorkerSetup;
  /** A cgroup holds the memory exactly: the heap needs no limit of its own. */
  readonly holdsMemory?: boolean;
}

/** Room V8 needs besides its old generation before the memory limit itself would fire. */
const HEAP_SHARE = 0.9;

/**
 * The program of a job: Node with the worker's entry for a module, else the command. A command that
 * has a way out of its sandbox is started by a small program of ours that opens it.
 */
export function programOf(
  { target, confinement }: WorkerSpec,
  { setup, holdsMemory = false }: ProgramOptions = {},
): WorkerProgram {
  if (target.kind === 'function') throw new TypeError('a function does not run in a process');
  if (target.kind === 'module') {
    const words = setup === undefined ? [] : [JSON.stringify(setup)];
    const heapFlags = holdsMemory ? [] : heapFlagsFor(confinement.limits.memoryBytes);
    return {
      file: nodePath(),
      args: [...heapFlags, entryPath('process-entry'), ...words],
      channel: 'frames',
    };
  }
  const { program, args } = target;
  if (setup?.way === undefined) return { file: program, args, channel: 'stdio' };
  const bridge = [entryPath('network-bridge-entry'), setup.way.socketPath, '--'];
  return { file: nodePath(), args: [...bridge, program, ...args], channel: 'stdio' };
}

/** Real path of the Node that runs us, and runs workers. */
export function nodePath(): string {
  return realpathSync(process.execPath);
}

/** Real path of an entry of the worker; a sandbox must let it read the folder. */
export function entryPath(name: 'process-entry' | 'network-bridge-entry'): string {
  return realpathSync(fileURLToPath(import.meta.resolve(`#worker/${name}`)));
}

/**
 * V8 ends with its own message when the JavaScript heap is full, which tells more than our kill.
 * Buffers and children are not in it: the watchdog, or a cgroup, sees those. Where a cgroup does, the
 * flag is left out: with it, Node starts 9 ms later (V8 then rejects its code cache).
 */
function heapFlagsFor(memoryBytes: number): readonly string[] {
  if (memoryBytes === Number.POSITIVE_INFINITY) return [];
  return [`--max-old-space-size=${Math.max(8, Math.floor((memoryBytes / 2 ** 20) * HEAP_SHARE))}`];
}
