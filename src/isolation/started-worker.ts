/**
 * One child process of a plan, from its start to the moment nothing of it is left.
 *
 *   this process                              the child (own process group)
 *   ────────────                              ─────────────────────────────
 *   descriptor 0  null, or JSON arguments ──▶ stdin            (commands)
 *   captured, capped ◀─────────────────────── stdout, stderr
 *   WorkerChannel ◀═══ frames, descriptor 3 ═▶ worker code, tool (modules)
 *
 * Somebody attends it while it serves a call. Before that, and between two calls, it has nothing to
 * say: a byte on any of its pipes, or its end, is a fault that it never recovers from.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { CapturedOutput } from './captured-output.ts';
import { type Child, type ChildExit, drainChild, startChild, whenExited } from './child.ts';
import { killTree, signalGroup } from './kill-tree.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { encodeLaunchTable, type LaunchRow } from './launch-table.ts';
import { decodeLaunchReport } from './launcher-report.ts';
import { isProcessAlive, readProcessTable } from './process-table.ts';
import { ProcessTree } from './process-tree.ts';
import { WorkerChannel, type WorkerListener } from './worker-channel.ts';

/** One record of 24 bytes for each launcher, and one more for what refused. */
const LAUNCH_REPORT_BYTES_MAX = 4096;
/** Turns of the event loop without a byte, after which a result's output has arrived whole. */
const QUIET_TURNS = 3;

/** Who is told what a worker does while it serves a call. */
export interface WorkerAttendant extends WorkerListener {
  /** Any number of times: stdout or stderr beyond the bound. */
  overflow(): void;
  exited(exit: ChildExit): void;
}

/** What is known of a worker's start from its launcher. */
export type LaunchFailure = string | null;

/** A started process. Whoever started it ends it. */
export class StartedWorker {
  readonly plan: LaunchPlan;
  readonly tree: ProcessTree;
  /** null: a command, which takes its arguments on stdin. */
  readonly channel: WorkerChannel | null;
  /** Settles once: true when the worker's own code waits for a call, false when it never will. */
  readonly ready: Promise<boolean>;
  readonly #child: Child;
  readonly #live: Set<number>;
  readonly #outputBytesMax: number;
  readonly #stages: readonly (readonly LaunchRow[])[];
  readonly #launchReport: Buffer[] = [];
  #output: { readonly stdout: CapturedOutput; readonly stderr: CapturedOutput };
  #attendant: WorkerAttendant | null = null;
  #settleReady: (isReady: boolean) => void = () => {};
  #isReady = false;
  #fault: string | null = null;
  #onFault: () => void = () => {};
  #bytesSeen = 0;
  #ended: Promise<readonly number[]> | null = null;

  /**
   * @param outputBytesMax - of stdout, of stderr, of a result and of the log, in each call
   * @param live - process groups that must die with this process; the child is in it while it lives
   */
  static async start(
    plan: LaunchPlan,
    outputBytesMax: number,
    live: Set<number>,
  ): Promise<StartedWorker | { readonly cause: string }> {
    const child = await startChild(plan);
    return 'cause' in child ? child : new StartedWorker(plan, outputBytesMax, child, live);
  }

  private constructor(plan: LaunchPlan, outputBytesMax: number, child: Child, live: Set<number>) {
    this.plan = plan;
    this.#child = child;
    this.#live = live;
    this.#outputBytesMax = outputBytesMax;
    this.tree = new ProcessTree(child.pid, readProcessTable);
    live.add(child.pid);
    this.ready = new Promise((resolve) => {
      this.#settleReady = resolve;
    });
    this.#output = this.#emptyOutput();
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk: Buffer) => this.#onOutput(name, chunk));
    this.channel =
      child.channel === null ? null : new WorkerChannel(child.channel, outputBytesMax, this.#told);
    this.#stages = this.#launch();
    void child.exited.then((exit) => {
      this.#notice('it ended', (attendant) => attendant.exited(exit));
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What the call printed that is being served, or was served last. */
  get stdout(): CapturedOutput {
    return this.#output.stdout;
  }

  get stderr(): CapturedOutput {
    return this.#output.stderr;
  }

  /** It waits for a call, and did nothing else since it was ready. */
  get isWaiting(): boolean {
    return this.#isReady && this.#fault === null && this.#ended === null && this.#isIdle;
  }

  /** Looks at the process itself: its death may not have been told yet. */
  isAlive(): boolean {
    return isProcessAlive(this.pid);
  }

  get #isIdle(): boolean {
    return this.channel?.isIdle ?? false;
  }

  /** Begins a call: from now on what the worker says is told, and what it prints is the call's. */
  attend(attendant: WorkerAttendant): void {
    this.#attendant = attendant;
    this.#output = this.#emptyOutput();
    if (this.#isReady) attendant.ready();
  }

  /** The call has ended: from now on the worker has nothing to say. */
  dismiss(): void {
    this.#attendant = null;
  }

  /** Arguments of a command. */
  writeInput(json: string): void {
    this.#child.stdin?.end(json);
  }

  /** Called at the first fault of a worker that nobody attends. */
  onFault(act: () => void): void {
    this.#onFault = act;
    if (this.#fault !== null) act();
  }

  /** Whether it, and all its pipes, keep this process running. */
  hold(isHeld: boolean): void {
    this.#child.hold(isHeld);
  }

  /** Waits for what was printed before the result: it is on its way in other pipes. */
  async quiet(): Promise<void> {
    for (let turns = 0, seen = this.#bytesSeen; turns < QUIET_TURNS; turns += 1) {
      await turn();
      if (seen !== this.#bytesSeen) turns = -1;
      seen = this.#bytesSeen;
    }
  }

  /** Once it exited: why its program was never started, null when it was. */
  launchFailure(): LaunchFailure {
    if (this.plan.launch === undefined) return null;
    const launched = decodeLaunchReport(Buffer.concat(this.#launchReport), this.#stages);
    return launched.state === 'executed' ? null : launched.cause;
  }

  /**
   * Kills everything, reads the rest of the pipes and closes them. The attendant hears of it.
   *
   * @returns pids that still live; empty is the rule
   */
  async end(): Promise<readonly number[]> {
    this.#ended ??= this.#kill();
    return this.#ended;
  }

  async #kill(): Promise<readonly number[]> {
    const { contain, isContained = false } = this.plan;
    this.hold(true);
    if (isContained) signalGroup(this.pid);
    const survivors = isContained ? [] : await killTree(this.tree);
    await contain?.();
    await drainChild(this.#child);
    // The pipes end before the exit is told. Bounded: the kernel may keep a process from dying.
    const isGone = await whenExited(this.#child);
    const left = isGone || survivors.length > 0 ? survivors : [this.pid];
    if (left.length === 0) this.#live.delete(this.pid);
    return left;
  }

  readonly #told: WorkerListener = {
    ready: () => {
      this.#isReady = true;
      this.#settleReady(true);
      this.#attendant?.ready();
    },
    refused: (message) =>
      this.#notice(`it refused: ${message}`, (attendant) => attendant.refused(message)),
    violation: (what) => this.#notice(what, (attendant) => attendant.violation(what)),
  };

  #notice(fault: string, tell: (attendant: WorkerAttendant) => void): void {
    this.#settleReady(false);
    this.#fault ??= fault;
    if (this.#attendant === null) this.#onFault();
    else tell(this.#attendant);
  }

  #onOutput(name: 'stdout' | 'stderr', chunk: Buffer): void {
    this.#bytesSeen += chunk.length;
    if (this.#attendant === null) this.#notice(`it wrote to ${name}`, () => {});
    else if (!this.#output[name].push(chunk)) this.#attendant.overflow();
  }

  #emptyOutput(): { readonly stdout: CapturedOutput; readonly stderr: CapturedOutput } {
    return {
      stdout: new CapturedOutput(this.#outputBytesMax),
      stderr: new CapturedOutput(this.#outputBytesMax),
    };
  }

  /** Sends the launcher its tables: only now is the pid known that some rows depend on. */
  #launch(): readonly (readonly LaunchRow[])[] {
    const { table, launchReport, pid } = this.#child;
    const { launch } = this.plan;
    if (launch === undefined || table === null || launchReport === null) return [];
    let bytes = 0;
    launchReport.on('data', (chunk: Buffer) => {
      // Whoever inherits the descriptor could write to it without end.
      bytes += chunk.length;
      if (bytes <= LAUNCH_REPORT_BYTES_MAX) this.#launchReport.push(chunk);
    });
    const stages = launch.stages(pid);
    for (const [stage, rows] of stages.entries()) {
      table.write(encodeLaunchTable(rows, launch.architecture, stage));
    }
    table.end();
    return stages;
  }
}
