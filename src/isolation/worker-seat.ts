/**
 * A worker in the place that was made for it: scratch folder, user, control group, way out.
 *
 *   furnish ─▶ start ─▶ perform ─▶ end                   a cold call: all at once
 *   furnish ─▶ start ─▶ wait … ─▶ perform ─▶ end         a prepared worker: half of it beforehand
 *   furnish ─▶ start ─▶ perform ─▶ wait … ─▶ perform ─▶ end          `isolation.reuse`
 *
 * Whatever happens, a place is taken apart once, after nothing in it lives any more.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { isEnforceError } from '../errors.ts';
import { Holdings } from './holdings.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { NOTHING_USED, type UsageBefore } from './limit-watch.ts';
import { openScratch, takeScratchAway } from './run-in-scratch.ts';
import { emptyReport, type Job, type RunEnd, type RunReport, type WorkerSpec } from './runner.ts';
import { StartedWorker } from './started-worker.ts';
import { outputBytesMaxOf, performCall, startFor } from './supervisor.ts';

/** A worker that is not ready by then is not worth waiting for. */
const READY_MS_MAX = 10_000;

/** What a runner put around one worker. */
export interface Furnishing {
  readonly plan: LaunchPlan;
  /** From now on what the tool does on the network is this call's. */
  readonly attend?: (job: Pick<Job, 'onEgress'>) => void;
  /** Whether a plan that is made now would be this one, and its paths lead to the same files. */
  readonly isCurrent?: () => boolean;
  /** False: the place shows on the host (mount points in a user's folder), so it is not kept. */
  readonly mayWait?: boolean;
  /** False: what one call left open could be used in the next. */
  readonly mayServeAgain?: boolean;
}

/** Makes the place of a worker. What it took it adds to `holdings` at once. */
export type Furnish = (
  spec: WorkerSpec,
  scratch: string,
  holdings: Holdings,
) => Promise<Furnishing>;

/** What a runner opens seats with. */
export interface SeatMaker {
  readonly furnish: Furnish;
  /** Of the report where there is not even a plan. */
  readonly layers: readonly string[];
  /** Process groups that must die with this process. */
  readonly live: Set<number>;
  /** Takes on what may be done after a call has ended; null: the call waits for it. */
  readonly afterwards: ((work: Promise<unknown>) => void) | null;
}

interface Place {
  readonly scratch: string;
  readonly holdings: Holdings;
  readonly afterwards: SeatMaker['afterwards'];
}

/** One worker and its place. Whoever opened it ends it, or has it perform its last call. */
export class WorkerSeat {
  readonly #place: Place;
  readonly #furnishing: Furnishing;
  readonly #worker: StartedWorker;
  #before: UsageBefore = NOTHING_USED;
  #served = 0;
  #ended: Promise<RunEnd | null> | null = null;

  private constructor(place: Place, furnishing: Furnishing, worker: StartedWorker) {
    this.#place = place;
    this.#furnishing = furnishing;
    this.#worker = worker;
  }

  /**
   * Makes a place and starts a worker in it, for this job.
   *
   * @returns how the call ended where there is no worker; nothing is left then
   */
  static async open(maker: SeatMaker, job: Job & WorkerSpec): Promise<WorkerSeat | RunReport> {
    return WorkerSeat.#open(maker, job, (plan) => startFor(job, plan, maker.live));
  }

  /**
   * Makes a place and a worker in it that waits for a call. It holds nothing of any call, and does
   * not keep this process running.
   *
   * @param signal - aborted: it is not wanted any more
   * @returns null where that cannot be; nothing is left then
   */
  static async prepare(
    maker: SeatMaker,
    spec: WorkerSpec,
    signal: AbortSignal,
  ): Promise<WorkerSeat | null> {
    const seat = await WorkerSeat.#open(maker, spec, async (plan) => {
      const worker = await StartedWorker.start(plan, outputBytesMaxOf(spec), maker.live);
      return worker instanceof StartedWorker ? worker : emptyReport(NOT_PREPARED, plan);
    });
    if (!(seat instanceof WorkerSeat)) return null;
    seat.#worker.hold(false);
    const isReady = seat.mayWait && (await seat.#isReadyInTime(signal));
    if (isReady && (await seat.#rest())) return seat;
    await seat.end();
    return null;
  }

  static async #open(
    { furnish, layers, afterwards }: SeatMaker,
    spec: WorkerSpec,
    start: (plan: LaunchPlan) => Promise<StartedWorker | RunReport>,
  ): Promise<WorkerSeat | RunReport> {
    const made = await openScratch();
    if ('end' in made) return emptyReport(made.end, { layers });
    const place = { ...made, afterwards, holdings: new Holdings() };
    let report: RunReport;
    try {
      const furnishing = await furnish(spec, place.scratch, place.holdings);
      const started = await start(furnishing.plan);
      if (started instanceof StartedWorker) return new WorkerSeat(place, furnishing, started);
      report = started;
    } catch (cause) {
      if (!isEnforceError(cause)) {
        await takeApart(place, true);
        throw cause;
      }
      report = emptyReport(unavailable(cause.message));
    }
    return reportAfter(report, await takeApart(place, true));
  }

  /** It can be told to lie ready, as far as the host is concerned. */
  get mayWait(): boolean {
    return this.#furnishing.mayWait ?? true;
  }

  /** What it holds while it waits, in bytes. */
  get memoryBytes(): number {
    return this.#before.memoryBytes;
  }

  /** Calls it has served. */
  get served(): number {
    return this.#served;
  }

  /**
   * The last look before a waiting worker gets a call: it lives, it said nothing, and what it was
   * started with is what a call would be started with now.
   */
  isFit(): boolean {
    try {
      return (
        this.#worker.isWaiting && this.#worker.isAlive() && (this.#furnishing.isCurrent?.() ?? true)
      );
    } catch {
      // What cannot be looked at (no descriptor is free) is not used.
      return false;
    }
  }

  /** Called once, when it can no longer be used though nobody uses it. */
  onFault(act: () => void): void {
    this.#worker.onFault(act);
  }

  /**
   * Runs a job, and takes the place apart unless the worker is to be kept and may be.
   *
   * @returns `isKept`: it waits for another call
   */
  async perform(
    job: Job,
    isKept = false,
  ): Promise<{ readonly report: RunReport; readonly isKept: boolean }> {
    this.#furnishing.attend?.(job);
    this.#worker.hold(true);
    const mayStay = isKept && this.mayWait && (this.#furnishing.mayServeAgain ?? true);
    try {
      const performed = await performCall(this.#worker, job, {
        before: this.#before,
        isKept: mayStay,
      });
      const report = this.#served === 0 ? performed.report : markReused(performed.report);
      this.#served += 1;
      if (performed.isKept && (await this.#rest())) return { report, isKept: true };
      return { report: reportAfter(report, await this.#end(true)), isKept: false };
    } catch (cause) {
      await this.end();
      throw cause;
    }
  }

  /**
   * Kills what is left and takes the place apart.
   *
   * @returns how a call must be said to have ended instead, when something stays behind
   */
  async end(): Promise<RunEnd | null> {
    return this.#end(false);
  }

  /** @param isCall - a call waits: what may be done later is */
  async #end(isCall: boolean): Promise<RunEnd | null> {
    this.#ended ??= this.#worker.end().then(
      () => takeApart(this.#place, isCall),
      async (cause: unknown) => {
        await takeApart(this.#place, isCall);
        throw cause;
      },
    );
    return this.#ended;
  }

  /** INVARIANT: nothing here keeps the process running, so whoever waits for it must abort it. */
  async #isReadyInTime(signal: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const late = delay(READY_MS_MAX, false, { ref: false, signal: over.signal });
    const isReady = await Promise.race([this.#worker.ready, late.catch(() => false)]);
    signal.removeEventListener('abort', stop);
    stop();
    return isReady;
  }

  /** @returns false when the tool left more than the worker itself, or that cannot be seen */
  async #rest(): Promise<boolean> {
    const { plan, tree } = this.#worker;
    try {
      const processes = plan.countProcesses?.() ?? (await tree.refresh()).length;
      this.#before = await plan.usage(tree);
      this.#worker.hold(false);
      return processes === (plan.ownProcesses ?? 1) && this.#worker.isWaiting;
    } catch {
      return false;
    }
  }
}

/** Releases what a place holds and removes its folder, whatever of it fails. */
async function takeApart(
  { scratch, holdings, afterwards }: Place,
  isCall: boolean,
): Promise<RunEnd | null> {
  let left: RunEnd | null = null;
  try {
    await holdings.release();
  } finally {
    left = await takeScratchAway(scratch);
    const work = holdings.releaseLate();
    if (isCall && afterwards !== null) afterwards(work);
    else await work;
  }
  return left;
}

function reportAfter(report: RunReport, left: RunEnd | null): RunReport {
  return left === null ? report : { ...report, end: left };
}

function markReused(report: RunReport): RunReport {
  return { ...report, layers: [...report.layers, 'worker-reused'] };
}

const NOT_PREPARED: RunEnd = {
  status: 'crashed',
  code: 'ENF_WORKER_CRASHED',
  message: 'the process could not be started',
};

function unavailable(message: string): RunEnd {
  return { status: 'isolation-unavailable', code: 'ENF_ISOLATION_UNAVAILABLE', message };
}
