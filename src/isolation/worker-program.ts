import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Job } from './runner.ts';

/** What a job's process executes, whatever is put around it. */
export interface WorkerProgram {
  readonly file: string;
  readonly args: readonly string[];
  /** `frames`: our worker, which loads the tool. `stdio`: the command itself. */
  readonly channel: 'frames' | 'stdio';
}

/** Room V8 needs besides its old generation before the memory limit itself would fire. */
const HEAP_SHARE = 0.9;

/**
 * The program of a job: Node with the worker's entry for a module, else the command.
 *
 * @param worker.node - path of Node inside the sandbox
 * @param worker.checks - what the worker must find in its own status before it loads the tool
 */
export function programOf(
  { target, confinement }: Job,
  worker: { readonly node: string; readonly checks?: string } = { node: process.execPath },
): WorkerProgram {
  if (target.kind === 'function') throw new TypeError('a function does not run in a process');
  if (target.kind === 'command') {
    return { file: target.program, args: target.args, channel: 'stdio' };
  }
  const checks = worker.checks === undefined ? [] : [worker.checks];
  return {
    file: worker.node,
    args: [...heapFlags(confinement.limits.memoryBytes), workerEntry(), ...checks],
    channel: 'frames',
  };
}

/** Real path of the worker's entry: what a sandbox must let it read. */
export function workerEntry(): string {
  return realpathSync(fileURLToPath(import.meta.resolve('#worker/process-entry')));
}

/**
 * V8 ends with its own message when the JavaScript heap is full, which tells more than our kill.
 * Buffers and children are not in it: the watchdog, or a cgroup, sees those.
 */
function heapFlags(memoryBytes: number): readonly string[] {
  if (memoryBytes === Number.POSITIVE_INFINITY) return [];
  return [`--max-old-space-size=${Math.max(8, Math.floor((memoryBytes / 2 ** 20) * HEAP_SHARE))}`];
}
