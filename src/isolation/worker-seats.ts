import { passingEnvironment } from './environment.ts';
import { guardGroups } from './exit-guard.ts';
import { signalGroup } from './kill-tree.ts';
import type { Job, RunReport, WorkerSpec } from './runner.ts';
import type { Visit, WorkerPool } from './worker-pool.ts';
import { workerPoolKey } from './worker-pool-key.ts';
import { type Furnish, type SeatMaker, WorkerSeat } from './worker-seat.ts';

/** What the seats of one runner are made with. */
export interface SeatOptions {
  readonly tier: string;
  readonly layers: readonly string[];
  readonly furnish: Furnish;
  /** null: every call starts its own worker. The first runner that is closed closes it. */
  readonly pool: WorkerPool<WorkerSeat> | null;
}

/** Runs the jobs of one runner: each on a worker of its own, started for it or before it. */
export class WorkerSeats {
  readonly #tier: string;
  readonly #maker: SeatMaker;
  readonly #pool: WorkerPool<WorkerSeat> | null;
  readonly #live = new Set<number>();
  readonly #unguard: () => void = guardGroups(this.#live);

  constructor({ tier, layers, furnish, pool }: SeatOptions) {
    this.#tier = tier;
    this.#pool = pool;
    const afterwards = pool === null ? null : (work: Promise<unknown>) => pool.adopt(work);
    this.#maker = { furnish, layers, live: this.#live, afterwards };
  }

  /** See {@link Runner.run}. */
  async run(job: Job): Promise<RunReport> {
    const inherited = passingEnvironment(job.confinement.environment, process.env);
    const visit = this.#enter(job, inherited);
    let back: WorkerSeat | null = null;
    try {
      const seat = visit?.worker ?? (await WorkerSeat.open(this.#maker, { ...job, inherited }));
      if (!(seat instanceof WorkerSeat)) return seat;
      if (!seat.mayWait) visit?.forbid();
      const { reuse } = job.confinement.isolation;
      const isKept = visit !== null && seat.served + 1 < reuse;
      const performed = await seat.perform(job, isKept);
      if (performed.isKept) back = seat;
      return performed.report;
    } finally {
      visit?.leave(back);
    }
  }

  /** The enforcer has stopped its calls before; what lies ready is ended. */
  async close(): Promise<void> {
    try {
      await this.#pool?.close();
    } finally {
      for (const pid of this.#live) signalGroup(pid);
      this.#unguard();
    }
  }

  #enter(
    { target, confinement }: Job,
    inherited: NonNullable<WorkerSpec['inherited']>,
  ): Visit<WorkerSeat> | null {
    if (this.#pool === null) return null;
    const spec = { target, confinement, inherited };
    const key = workerPoolKey(spec, { tier: this.#tier, inherited });
    if (key === null) return null;
    return this.#pool.enter(key, (signal) => WorkerSeat.prepare(this.#maker, spec, signal));
  }
}
