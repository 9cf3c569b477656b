/**
 * Supervises one child process from its start to the moment nothing of it is left.
 *
 *   this process                              the child (own process group)
 *   ────────────                              ─────────────────────────────
 *   descriptor 0  null, or JSON arguments ──▶ stdin            (commands)
 *   captured, capped ◀─────────────────────── stdout, stderr
 *   WorkerChannel ◀═══ frames, descriptor 3 ═▶ worker code, tool (modules)
 *   timers, watchLimits, stop signal ─ SIGKILL ▶ the whole tree
 *
 * The child is hostile. Exactly one thing ends the call: the first of a result, a breach seen from
 * here, a stop, or the child's exit. What ended it is written down before anything is killed, so
 * that our own SIGKILL is never mistaken for a crash. Then the tree is killed, the pipes are drained
 * for a bounded time (a daemon may hold them open for ever) and destroyed.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { FetchReply } from '../../worker/fetch-protocol.ts';
import type { LimitKind } from '../call.ts';
import { ABORT_GRACE_MS, CallTimers } from './call-timers.ts';
import { type CapturedOutput, captureStream } from './captured-output.ts';
import { type Child, type ChildExit, drainChild, startChild } from './child.ts';
import type { EgressRecord } from './egress-gate.ts';
import { FetchBroker } from './fetch-broker.ts';
import { killTree, terminateGroup } from './kill-tree.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { encodeLaunchTable, type LaunchRow } from './launch-table.ts';
import { decodeLaunchReport } from './launcher-report.ts';
import type { LimitWatch } from './limit-watch.ts';
import { readProcessTable } from './process-table.ts';
import { ProcessTree } from './process-tree.ts';
import { classifyExit, commandEnd, limitEnd, stopEnd } from './run-end.ts';
import { emptyReport, type Job, type RunEnd, type RunReport, type StopReason } from './runner.ts';
import { changedTarget } from './target-check.ts';
import { type ChannelListener, WorkerChannel } from './worker-channel.ts';
import { WorkerMessageError } from './worker-message.ts';

/** After the kill, this long for the exit code to arrive. */
const EXIT_MS_MAX = 1000;
/** One record of 24 bytes for each launcher, and one more for what refused. */
const LAUNCH_REPORT_BYTES_MAX = 4096;
/** What a worker may return or print even when the policy says `unlimited`. */
const OUTPUT_BYTES_CEILING = 256 * 1024 * 1024;

/**
 * Starts the plan and watches it to its end.
 *
 * @param live - process groups that must die with this process; the child is in it while it runs
 * @returns the report; never rejects for anything the child does, and a child that cannot be started
 *   is a report, too
 */
export async function superviseProcess(
  plan: LaunchPlan,
  job: Job,
  live: Set<number>,
): Promise<RunReport> {
  if (job.stop.aborted) return emptyReport(stopEnd(job.stop.reason as StopReason), plan);
  const changed = changedTarget(job.target);
  if (changed !== null) return emptyReport(changed, plan);
  const child = await startChild(plan);
  if ('cause' in child) return emptyReport(notStarted(child.cause), plan);
  live.add(child.pid);
  const supervision = new Supervision(plan, job, child);
  await supervision.ended;
  const survivors = await supervision.contain();
  if (survivors.length === 0) live.delete(child.pid);
  return supervision.report();
}

class Supervision {
  /** Settles with whatever ends the call; what that was is in `#end`, or follows from the exit. */
  readonly ended: Promise<void>;
  readonly #plan: LaunchPlan;
  readonly #job: Job;
  readonly #child: Child;
  readonly #tree: ProcessTree;
  readonly #outputBytesMax: number;
  readonly #stdout: CapturedOutput;
  readonly #stderr: CapturedOutput;
  readonly #channel: WorkerChannel | null;
  #broker: FetchBroker | null = null;
  readonly #watch: LimitWatch;
  readonly #timers: CallTimers = new CallTimers();
  #announceEnd: () => void = () => {};
  #end: RunEnd | null = null;
  #exit: ChildExit | null = null;
  #resultBytes = 0;
  #stages: readonly (readonly LaunchRow[])[] = [];
  readonly #launchReport: Buffer[] = [];
  #breachAtEnd: LimitKind | null = null;

  constructor(plan: LaunchPlan, job: Job, child: Child) {
    this.#plan = plan;
    this.#job = job;
    this.#child = child;
    this.#outputBytesMax = Math.min(job.confinement.limits.outputBytes, OUTPUT_BYTES_CEILING);
    this.ended = new Promise((resolve) => {
      this.#announceEnd = resolve;
    });
    const onOverflow = (): void => this.#breach('output');
    this.#stdout = captureStream(child.stdout, this.#outputBytesMax, onOverflow);
    this.#stderr = captureStream(child.stderr, this.#outputBytesMax, onOverflow);
    this.#channel = this.#connect();
    this.#tree = new ProcessTree(child.pid, readProcessTable);
    this.#watch = plan.watch(
      this.#tree,
      (limit) => this.#breach(limit),
      (cause) => this.#settle(notWatched(cause)),
    );
    this.#launch();
    this.#watchTime();
    void child.exited.then((exit) => {
      this.#exit = exit;
      this.#announceEnd();
    });
  }

  /** Kills the tree, reads the rest of the pipes, closes them. Pids that still live. */
  async contain(): Promise<readonly number[]> {
    this.#timers.clear();
    this.#job.stop.removeEventListener('abort', this.#onStop);
    this.#broker?.destroy();
    const survivors = await killTree(this.#tree);
    await this.#plan.contain?.();
    await drainChild(this.#child);
    // The pipes end before the exit is told. Bounded: the kernel may keep a process from dying.
    await Promise.race([this.#child.exited, delay(EXIT_MS_MAX, undefined, { ref: false })]);
    this.#breachAtEnd = this.#watch.stop();
    return survivors;
  }

  /** @throws what `onEgress` of the job threw */
  report(): RunReport {
    this.#broker?.close();
    const end = this.#end ?? this.#endFromExit();
    const isCommandResult = this.#channel === null && end.status === 'ok';
    // A worker that gave its result is ended by us: how it exits says nothing.
    const isWorkerResult = this.#channel !== null && end.status === 'ok';
    return {
      ...emptyReport(end, this.#plan),
      ...this.#watch.peaks,
      limitsHit: this.#watch.limitsHit,
      stdout: isCommandResult ? '' : this.#stdout.text(),
      stderr: this.#stderr.text(),
      outputBytes: this.#stdout.bytes + this.#stderr.bytes + this.#resultBytes,
      exit: isWorkerResult ? null : this.#exit,
    };
  }

  /** INVARIANT: called before the kill that follows from it. The first end stands. */
  #settle(end: RunEnd): void {
    this.#end ??= end;
    this.#announceEnd();
  }

  #breach(limit: LimitKind): void {
    this.#settle(limitEnd(limit, this.#job.confinement.limits));
  }

  #connect(): WorkerChannel | null {
    const { stdin, channel: stream } = this.#child;
    if (stream === null) {
      stdin?.end(this.#job.argsJson);
      return null;
    }
    const { callId, onLog, onProgress } = this.#job;
    const listener: ChannelListener = {
      ready: () => {
        // A call that was stopped while its worker started never begins.
        if (this.#end !== null) return;
        const changed = changedTarget(this.#job.target);
        if (changed !== null) this.#settle(changed);
        else channel.sendText(startMessage(this.#job, this.#outputBytesMax, broker !== null));
      },
      refused: (message) => this.#settle(notConfined(message)),
      log: (message) => onLog?.(message),
      progress: (done, total) => onProgress?.(done, total),
      fetch: (message) => {
        if (broker === null) throw new WorkerMessageError('a request without being offered any');
        broker.receive(message);
      },
      overflow: () => this.#breach('output'),
      result: (value, bytes) => {
        this.#resultBytes = bytes;
        this.#settle({ status: 'ok', value });
      },
      failed: (code, message) => {
        if (code === 'ENF_LIMIT_OUTPUT') this.#breach('output');
        else this.#settle({ status: 'tool-error', code, message });
      },
      violation: (what) => this.#onViolation(what),
    };
    const channel = new WorkerChannel(
      stream,
      { callId, outputBytesMax: this.#outputBytesMax },
      listener,
    );
    const broker = openBroker(this.#plan, this.#job, (reply) => channel.send(reply));
    this.#broker = broker;
    return channel;
  }

  /** Also after a result: whoever sends two has no right to either. */
  #onViolation(message: string): void {
    if (this.#end?.status === 'ok') this.#end = null;
    this.#settle({ status: 'protocol-violation', code: 'ENF_WORKER_PROTOCOL', message });
  }

  #watchTime(): void {
    this.#timers.armDeadline(this.#job, {
      warn: (reason) => this.#channel?.send({ type: 'abort', reason }),
      expire: () => this.#breach('wall'),
    });
    const { stop } = this.#job;
    if (stop.aborted) this.#onStop();
    else stop.addEventListener('abort', this.#onStop, { once: true });
  }

  /** The kill switch kills at once; a caller's abort first tells the tool, then kills. */
  readonly #onStop = (): void => {
    const reason = this.#job.stop.reason as StopReason;
    // Set now: whatever the tool still says in its grace, the call was stopped.
    this.#end ??= stopEnd(reason);
    if (reason.status === 'killed') return this.#announceEnd();
    if (this.#channel === null) terminateGroup(this.#child.pid);
    else this.#channel.send({ type: 'abort', reason: reason.message });
    this.#timers.after(ABORT_GRACE_MS, () => this.#announceEnd());
  };

  /** Sends the launcher its tables: only now is the pid known that some rows depend on. */
  #launch(): void {
    const { table, launchReport, pid } = this.#child;
    const { launch } = this.#plan;
    if (launch === undefined || table === null || launchReport === null) return;
    let bytes = 0;
    launchReport.on('data', (chunk: Buffer) => {
      // Whoever inherits the descriptor could write to it without end.
      bytes += chunk.length;
      if (bytes <= LAUNCH_REPORT_BYTES_MAX) this.#launchReport.push(chunk);
    });
    this.#stages = launch.stages(pid);
    for (const [stage, rows] of this.#stages.entries()) {
      table.write(encodeLaunchTable(rows, launch.architecture, stage));
    }
    table.end();
  }

  #endFromExit(): RunEnd {
    if (this.#plan.launch !== undefined) {
      const launched = decodeLaunchReport(Buffer.concat(this.#launchReport), this.#stages);
      // Whatever the exit code says: the tool never ran.
      if (launched.state !== 'executed') return notConfined(launched.cause);
    }
    if (this.#breachAtEnd !== null) {
      return limitEnd(this.#breachAtEnd, this.#job.confinement.limits);
    }
    const { code, signal } = this.#exit ?? { code: null, signal: null };
    if (this.#channel === null && code !== null) {
      return commandEnd(code, this.#stdout.text(), this.#outputBytesMax);
    }
    const isTruncated = this.#channel?.isTruncated ?? false;
    return classifyExit({ code, signal, stderr: this.#stderr.text(), isTruncated });
  }
}

/** What makes the requests of a call that has no network but may reach some domains. */
function openBroker(
  { fetchResolution }: LaunchPlan,
  { confinement, onEgress }: Job,
  reply: (reply: FetchReply) => void,
): FetchBroker | null {
  if (fetchResolution === undefined) return null;
  const onRecord = (record: EgressRecord): void => onEgress?.(record);
  return new FetchBroker({ ...fetchResolution, rules: confinement.network, onRecord, reply });
}

/** The arguments are text already; they are spliced in so that they are not serialised twice. */
function startMessage(
  { callId, tool, target, argsJson }: Job,
  resultBytesMax: number,
  brokersFetch: boolean,
): string {
  if (target.kind !== 'module') throw new TypeError('only modules are started by message');
  const { module } = target;
  const name = target.export === undefined ? {} : { export: target.export };
  const offer = brokersFetch ? { brokersFetch } : {};
  const start = { type: 'start', callId, tool, module, ...name, resultBytesMax, ...offer };
  const head = JSON.stringify(start);
  return `${head.slice(0, -1)},"args":${argsJson}}`;
}

function notStarted(cause: string): RunEnd {
  return {
    status: 'crashed',
    code: 'ENF_WORKER_CRASHED',
    message: `the process could not be started: ${cause}`,
  };
}

function notConfined(message: string): RunEnd {
  return {
    status: 'isolation-unavailable',
    code: 'ENF_ISOLATION_UNAVAILABLE',
    message: `the worker is not confined as asked: ${message}`,
  };
}

function notWatched(cause: unknown): RunEnd {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  return {
    status: 'crashed',
    code: 'ENF_INTERNAL',
    message: `the limits could no longer be watched (${code}), so the call was ended`,
  };
}
