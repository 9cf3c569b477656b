import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { LaunchPlan } from './launch-plan.ts';

/** A started child process and our ends of its pipes. */
export interface Child {
  readonly pid: number;
  /** Commands only. */
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Descriptor 3. Workers only. */
  readonly channel: Duplex | null;
  /** Settles at its exit, whether or not its pipes are still held open by others. */
  readonly exited: Promise<ChildExit>;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * After the kill, pipes that give nothing for this many turns of the event loop, of at least 1 ms
 * each, are given up. Not measured as time: while this process is busy no time is long enough, and
 * a command's output would be cut.
 */
const DRAIN_IDLE_TURNS = 100;
const DRAIN_TURNS_MAX = 1000;

/**
 * Starts the process of a plan in a session and process group of its own, so that one signal reaches
 * all that stays in it. Every pipe has an error listener before anything else can happen: a child
 * that shuts its end down would otherwise be an uncaught exception here.
 *
 * @returns the child, or the system's error code when it could not be started
 */
export async function startChild(plan: LaunchPlan): Promise<Child | { readonly cause: string }> {
  const isWorker = plan.channel === 'frames';
  const child = execa(plan.file, [...plan.args], {
    cwd: plan.cwd,
    env: plan.env,
    extendEnv: false,
    detached: true,
    stdio: [isWorker ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(isWorker ? (['pipe'] as const) : [])],
    buffer: false,
    reject: false,
    // The group is killed by its runner when this process exits; execa would only reach the leader.
    cleanup: false,
    windowsHide: true,
  });
  const streams = child.stdio.filter((stream) => stream !== null && stream !== undefined);
  for (const stream of streams) stream.on('error', ignoreBrokenPipe);
  if (child.pid === undefined) {
    const result = await child;
    return { cause: result.code ?? 'unknown error' };
  }
  const [stdin, stdout, stderr, channel] = child.stdio;
  if (!stdout || !stderr) throw new TypeError('stdout and stderr are always pipes');
  return {
    pid: child.pid,
    stdin: (stdin ?? null) as Writable | null,
    stdout,
    stderr,
    channel: (channel ?? null) as Duplex | null,
    exited: new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }),
  };
}

/** EPIPE and ECONNRESET say that the child closed its end, which its exit or the deadline will tell. */
function ignoreBrokenPipe(): void {}

/**
 * Reads what is left in the pipes of a killed child, then closes them. Never waits for `close`: a
 * process that escaped the kill may hold a pipe open for ever.
 */
export async function drainChild(child: Child): Promise<void> {
  const readable = [child.stdout, child.stderr, child.channel].filter((stream) => stream !== null);
  let idleTurns = 0;
  const onData = (): void => {
    idleTurns = 0;
  };
  for (const stream of readable) stream.on('data', onData);
  const isOpen = (): boolean =>
    readable.some((stream) => !stream.readableEnded && !stream.destroyed);
  for (let turn = 0; turn < DRAIN_TURNS_MAX && idleTurns < DRAIN_IDLE_TURNS; turn += 1) {
    if (!isOpen()) break;
    await delay(1);
    idleTurns += 1;
  }
  for (const stream of [child.stdin, ...readable]) stream?.destroy();
}
