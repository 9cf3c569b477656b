import type { Socket } from 'node:net';
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
  /** Descriptor 4, where the launcher reads its tables. */
  readonly table: Writable | null;
  /** Descriptor 5, where it says how far it got. */
  readonly launchReport: Readable | null;
  /** All of them, to be destroyed at the end. */
  readonly streams: readonly { destroy(): unknown }[];
  /** Settles at its exit, whether or not its pipes are still held open by others. */
  readonly exited: Promise<ChildExit>;
  /** Whether it keeps this process running; it does at first. */
  readonly hold: (isHeld: boolean) => void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** After the kill, this long for the exit code to arrive. */
const EXIT_MS_MAX = 1000;
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
  const child = execa(plan.file, [...plan.args], {
    cwd: plan.cwd,
    env: plan.env,
    extendEnv: false,
    detached: true,
    stdio: stdioOf(plan),
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
  // The types of execa end at index 2; which entries are pipes is decided in stdioOf.
  const [stdin, stdout, stderr, channel, table, launchReport, , ...texts] =
    child.stdio as readonly unknown[] as ChildStdio;
  for (const [index, text] of (plan.launch?.texts ?? []).entries()) texts[index]?.end(text);
  return {
    pid: child.pid,
    stdin,
    stdout,
    stderr,
    channel: plan.channel === 'frames' ? channel : null,
    table: table ?? null,
    launchReport: launchReport ?? null,
    streams,
    exited: new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }),
    hold: (isHeld) => {
      // The pipes of a child are sockets; what a stream in general lacks they have.
      const pipes = (streams as readonly unknown[] as readonly Socket[]).filter(
        (pipe) => !pipe.destroyed,
      );
      for (const handle of [child, ...pipes])
        if (isHeld) handle.ref();
        else handle.unref();
    },
  };
}

/** @returns false when the child did not exit in time: the kernel keeps it from dying */
export async function whenExited({ exited }: Child): Promise<boolean> {
  const late = delay(EXIT_MS_MAX, false, { ref: false });
  return Promise.race([exited.then(() => true), late]);
}

type ChildStdio = readonly [
  Writable | null,
  Readable,
  Readable,
  Duplex,
  Writable | undefined,
  Readable | undefined,
  unknown,
  ...Writable[],
];

// The types of execa know descriptors up to 9; its code takes any.
type Stdio = readonly ['ignore' | 'pipe', 'pipe', 'pipe', ...('ignore' | 'pipe' | 9)[]];

/** 0–2 standard, 3 frames, 4 table, 5 report; 6 the launcher itself, then texts; then descriptors. */
function stdioOf({ channel, launch }: LaunchPlan): Stdio {
  const isWorker = channel === 'frames';
  const stdin = isWorker ? 'ignore' : 'pipe';
  if (launch === undefined)
    return [stdin, 'pipe', 'pipe', ...(isWorker ? (['pipe'] as const) : [])];
  const { descriptor, texts, descriptors } = launch;
  const chained = descriptor === null ? [] : [descriptor as 9, ...texts.map(() => 'pipe' as const)];
  const kept = descriptors.map((each) => each as 9);
  // A command's descriptor 3 is only there because the launcher counts on 3 to 5 being taken.
  return [stdin, 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...chained, ...kept];
}

/** EPIPE and ECONNRESET say that the child closed its end, which its exit or the deadline will tell. */
function ignoreBrokenPipe(): void {}

/**
 * Reads what is left in the pipes of a killed child, then closes them. Never waits for `close`: a
 * process that escaped the kill may hold a pipe open for ever.
 */
export async function drainChild(child: Child): Promise<void> {
  const { stdout, stderr, channel, launchReport, streams } = child;
  const readable = [stdout, stderr, channel, launchReport].filter((stream) => stream !== null);
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
  for (const stream of streams) stream.destroy();
}
