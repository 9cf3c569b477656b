/**
 * Supervises one call on a started worker, to the end of the call.
 *
 *   timers, limits, stop signal ─ kill ▶ worker ══ frames ══▶ result, log, progress
 *
 * The worker is hostile from the moment it loads the tool. Exactly one thing ends the call: the first
 * of a result, a breach seen from here, a stop, or the worker's exit. What ended it is written down
 * before anything is killed, so that our own SIGKILL is never mistaken for a crash.
 */

import type { FetchReply } from '../../worker/fetch-protocol.ts';
import type { StartMessage } from '../../worker/protocol.ts';
import type { LimitKind } from '../call.ts';
import { ABORT_GRACE_MS, CallTimers } from './call-timers.ts';
import type { ChildExit } from './child.ts';
import type { EgressRecord } from './egress-gate.ts';
import { FetchBroker } from './fetch-broker.ts';
import { terminateGroup } from './kill-tree.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { type LimitWatch, NOTHING_USED, type UsageBefore } from './limit-watch.ts';
import { classifyExit, commandEnd, limitEnd, stopEnd } from './run-end.ts';
import { emptyReport, type Job, type RunEnd, type RunReport, type StopReason } from './runner.ts';
import { StartedWorker, type WorkerAttendant } from './started-worker.ts';
import { changedTarget } from './target-check.ts';
import type { CallListener } from './worker-channel.ts';
import { WorkerMessageError } from './worker-message.ts';

/** What a worker may return or print even when the policy says `unlimited`. */
const OUTPUT_BYTES_CEILING = 256 * 1024 * 1024;

/** The bound that a worker for such calls is started with. */
export function outputBytesMaxOf({ confinement }: Pick<Job, 'confinement'>): number {
  return Math.min(confinement.limits.outputBytes, OUTPUT_BYTES_CEILING);
}

/**
 * Starts the plan, runs the job on it and ends it.
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
  const worker = await startFor(job, plan, live);
  if (!(worker instanceof StartedWorker)) return worker;
  return (await performCall(worker, job)).report;
}

/** Starts a worker for a job that may begin: it was not stopped, and its tool is what was judged. */
export async function startFor(
  job: Job,
  plan: LaunchPlan,
  live: Set<number>,
): Promise<StartedWorker | RunReport> {
  if (job.stop.aborted) return emptyReport(stopEnd(job.stop.reason as StopReason), plan);
  const changed = changedTarget(job.target);
  if (changed !== null) return emptyReport(changed, plan);
  const worker = await StartedWorker.start(plan, outputBytesMaxOf(job), live);
  return 'cause' in worker ? emptyReport(notStarted(worker.cause), plan) : worker;
}

/** A call on a worker, and what is known of that worker. */
export interface CallOptions {
  /** What the worker had used before: not the call's. */
  readonly before?: UsageBefore;
  /** It is to serve more calls, if this one ends well. */
  readonly isKept?: boolean;
}

/** What became of a call and of its worker. */
export interface Performed {
  readonly report: RunReport;
  /** False: nothing of the worker is left alive. True: it waits for another call. */
  readonly isKept: boolean;
}

/**
 * Runs a job on a worker that was started for such jobs, or that waits for one.
 *
 * @returns after the worker was ended, unless it is to be kept and the call ended with a result or
 *   an error of the tool. Never rejects for anything the worker does
 */
export async function performCall(
  worker: StartedWorker,
  job: Job,
  options: CallOptions = {},
): Promise<Performed> {
  const call = new Supervision(worker, job, options);
  await call.ended;
  return call.conclude();
}

class Supervision {
  /** Settles with whatever ends the call; what that was is in `#end`, or follows from the exit. */
  readonly ended: Promise<void>;
  readonly #worker: StartedWorker;
  readonly #job: Job;
  readonly #isKept: boolean;
  readonly #outputBytesMax: number;
  readonly #broker: FetchBroker | null;
  readonly #watch: LimitWatch;
  readonly #timers: CallTimers = new CallTimers();
  #announceEnd: () => void = () => {};
  #end: RunEnd | null = null;
  #exit: ChildExit | null = null;
  #resultBytes = 0;
  #breachAtEnd: LimitKind | null = null;

  constructor(
    worker: StartedWorker,
    job: Job,
    { before = NOTHING_USED, isKept = false }: CallOptions,
  ) {
    this.#worker = worker;
    this.#job = job;
    this.#isKept = isKept;
    this.#outputBytesMax = outputBytesMaxOf(job);
    this.ended = new Promise((resolve) => {
      this.#announceEnd = resolve;
    });
    this.#broker = openBroker(worker, job);
    this.#watch = worker.plan.watch(
      worker.tree,
      (limit) => this.#breach(limit),
      (cause) => this.#settle(notWatched(cause)),
      before,
    );
    this.#watchTime();
    worker.attend(this.#attendant);
    if (worker.channel === null) worker.writeInput(job.argsJson);
  }

  /** Keeps the worker for another call where that was asked and it deserves it, or ends it. */
  async conclude(): Promise<Performed> {
    this.#timers.clear();
    this.#job.stop.removeEventListener('abort', this.#onStop);
    this.#broker?.destroy();
    if (this.#broker?.isRecorded === false) this.#end = notRecorded();
    const isKept = this.#isKept && this.#isWell && (await this.#mayServeAgain());
    if (!isKept) await this.#worker.end();
    this.#breachAtEnd ??= this.#watch.stop();
    // What was written stays: a result does not excuse it.
    if (this.#breachAtEnd === 'disk' && this.#end?.status === 'ok') this.#end = null;
    this.#worker.dismiss();
    return { report: this.#report(), isKept };
  }

  get #isWell(): boolean {
    return this.#end?.status === 'ok' || this.#end?.status === 'tool-error';
  }

  /** What it printed has arrived, it said nothing more, and no limit was met meanwhile. */
  async #mayServeAgain(): Promise<boolean> {
    await this.#worker.quiet();
    this.#breachAtEnd = this.#watch.stop();
    return this.#isWell && this.#breachAtEnd === null && this.#worker.isWaiting;
  }

  #report(): RunReport {
    const { stdout, stderr, channel, plan } = this.#worker;
    const end = this.#end ?? this.#endFromExit();
    const isCommandResult = channel === null && end.status === 'ok';
    // A worker that gave its result is ended by us: how it exits says nothing.
    const isWorkerResult = channel !== null && end.status === 'ok';
    return {
      ...emptyReport(end, plan),
      ...this.#watch.peaks,
      limitsHit: this.#watch.limitsHit,
      stdout: isCommandResult ? '' : stdout.text(),
      stderr: stderr.text(),
      outputBytes: stdout.bytes + stderr.bytes + this.#resultBytes,
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

  readonly #attendant: WorkerAttendant = {
    ready: () => this.#begin(),
    refused: (message) => this.#settle(notConfined(message)),
    violation: (what) => this.#onViolation(what),
    overflow: () => this.#breach('output'),
    exited: (exit) => {
      this.#exit = exit;
      this.#announceEnd();
    },
  };

  /** The last look before the tool is loaded. */
  #begin(): void {
    // A call that was stopped while its worker started never begins.
    if (this.#end !== null) return;
    const { channel } = this.#worker;
    const changed = changedTarget(this.#job.target);
    if (changed !== null) this.#settle(changed);
    else if (channel?.serve(this.#job.callId, this.#listener) === true)
      channel.sendText(this.#startMessage());
    else this.#onViolation('the worker does not wait for a call');
  }

  #startMessage(): string {
    return startMessage(this.#job, {
      resultBytesMax: this.#outputBytesMax,
      ...(this.#isKept ? { more: true } : {}),
      ...(this.#broker === null ? {} : { brokersFetch: true }),
    });
  }

  get #listener(): CallListener {
    const { onLog, onProgress } = this.#job;
    return {
      log: (message) => onLog?.(message),
      progress: (done, total) => onProgress?.(done, total),
      fetch: (message) => {
        if (this.#broker === null)
          throw new WorkerMessageError('a request without being offered any');
        this.#broker.receive(message);
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
    };
  }

  /** Also after a result: whoever sends two has no right to either. */
  #onViolation(message: string): void {
    if (this.#end?.status === 'ok') this.#end = null;
    this.#settle({ status: 'protocol-violation', code: 'ENF_WORKER_PROTOCOL', message });
  }

  #watchTime(): void {
    this.#timers.armDeadline(this.#job, {
      warn: (reason) => this.#worker.channel?.send({ type: 'abort', reason }),
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
    const { channel, pid } = this.#worker;
    if (channel === null) terminateGroup(pid);
    else channel.send({ type: 'abort', reason: reason.message });
    this.#timers.after(ABORT_GRACE_MS, () => this.#announceEnd());
  };

  #endFromExit(): RunEnd {
    const refused = this.#worker.launchFailure();
    // Whatever the exit code says: the tool never ran.
    if (refused !== null) return notConfined(refused);
    if (this.#breachAtEnd !== null) {
      return limitEnd(this.#breachAtEnd, this.#job.confinement.limits);
    }
    const { stdout, stderr, channel } = this.#worker;
    const { code, signal } = this.#exit ?? { code: null, signal: null };
    if (channel === null && code !== null) {
      return commandEnd(code, stdout.text(), this.#outputBytesMax);
    }
    const isTruncated = channel?.isTruncated ?? false;
    return classifyExit({ code, signal, stderr: stderr.text(), isTruncated });
  }
}

/** What makes the requests of a call that has no network but may reach some domains. */
function openBroker(
  { plan, channel }: StartedWorker,
  { confinement, onEgress }: Job,
): FetchBroker | null {
  const { fetchResolution } = plan;
  if (fetchResolution === undefined || channel === null) return null;
  const onRecord = (record: EgressRecord): void => onEgress?.(record);
  const reply = (message: FetchReply): void => channel.send(message);
  return new FetchBroker({ ...fetchResolution, rules: confinement.network, onRecord, reply });
}

/** The arguments are text already; they are spliced in so that they are not serialised twice. */
function startMessage(
  { callId, tool, target, argsJson }: Job,
  more: Pick<StartMessage, 'resultBytesMax' | 'more' | 'brokersFetch'>,
): string {
  if (target.kind !== 'module') throw new TypeError('only modules are started by message');
  const { module } = target;
  const name = target.export === undefined ? {} : { export: target.export };
  const start = { type: 'start', callId, tool, module, ...name, ...more };
  return `${JSON.stringify(start).slice(0, -1)},"args":${argsJson}}`;
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

function notRecorded(): RunEnd {
  return {
    status: 'crashed',
    code: 'ENF_INTERNAL',
    message: 'a request of the tool could not be recorded, so the call counts for nothing',
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
