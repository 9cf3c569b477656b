/**
 * Keeps workers ready that were started before the calls that use them.
 *
 *   enter(key) ─▶ a ready worker of exactly that key, or none: the call starts its own
 *      │             … the call …
 *   leave ──────▶ refill in the background, up to what was used at once lately, within the bounds
 *
 * A worker serves one call (more only where the caller gives it back), and no key's worker ever
 * serves another key's call. Faults, age and want of room end workers here; nothing else does.
 */

/** How much may lie ready. */
export interface PoolBounds {
  /** Prepared workers at most, >= 1. */
  readonly workersMax: number;
  /** What they may hold together, in MB of 2^20 bytes. */
  readonly memoryMbMax: number;
  /** A worker that was not used for so long is ended. */
  readonly idleMs: number;
}

/** What the pool knows of a worker. */
export interface PooledWorker {
  readonly memoryBytes: number;
  /** The last look before it is used; what is not fit is ended. */
  isFit(): boolean;
  /** Calls `act` when the worker can no longer be used though nobody uses it. */
  onFault(act: () => void): void;
  end(): Promise<unknown>;
}

/** One call's visit to the pool. */
export interface Visit<W> {
  /** null: nothing was ready. */
  readonly worker: W | null;
  /**
   * Once, after the call.
   *
   * @param back - a worker that waits for another call of this key
   */
  leave(back?: W | null): void;
  /** Workers of this key must not lie ready. */
  forbid(): void;
}

/**
 * Starts a worker of one key; null where that does not work, and soon after the signal was aborted.
 */
export type Prepare<W> = (signal: AbortSignal) => Promise<W | null>;

/** Workers of one key. */
interface Line<W> {
  readonly prepare: Prepare<W>;
  /** The next one to be used is at the end. */
  readonly ready: W[];
  starting: number;
  inUse: number;
  /** Most calls at once in this half of the idle time, and in the half before. */
  peaks: readonly [now: number, before: number];
  usedAt: number;
  faults: number;
  isForbidden: boolean;
  /** Aborted when nothing of this line is wanted any more. */
  readonly gone: AbortController;
}

/** Starting takes a CPU: never more at once, whatever is wanted. */
const STARTING_MAX = 1;
/** Faults in a row after which a key is left alone until it is quiet for a while. */
const FAULTS_MAX = 3;
/** Keys that are known at once; a call of one more starts its own worker. */
const KEYS_MAX = 256;
/** A refill does not get in the way of the call that made it necessary, unless that takes longer. */
const REFILL_DELAY_MS = 20;
/** Assumed of a worker until one was measured. */
const MEMORY_GUESS_BYTES = 48 * 2 ** 20;

/** The workers that lie ready, of all keys. Whoever made it closes it. */
export class WorkerPool<W extends PooledWorker> {
  readonly #bounds: PoolBounds;
  readonly #clock: () => number;
  readonly #onClose: () => void;
  readonly #lines = new Map<string, Line<W>>();
  readonly #leaving = new Set<Promise<unknown>>();
  readonly #failures: unknown[] = [];
  readonly #sweeper: NodeJS.Timeout;
  #refill: NodeJS.Timeout | null = null;
  #memoryGuess = MEMORY_GUESS_BYTES;
  #starting = 0;
  #closing: Promise<void> | null = null;

  /**
   * @param options.clock - milliseconds that never go back
   * @param options.onClose - called once, when it is closed
   */
  constructor(
    bounds: PoolBounds,
    {
      clock = () => performance.now(),
      onClose = () => {},
    }: { readonly clock?: () => number; readonly onClose?: () => void } = {},
  ) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#onClose = onClose;
    this.#sweeper = setInterval(() => this.sweep(), bounds.idleMs / 2);
    this.#sweeper.unref();
  }

  /** How many workers lie ready, of all keys. */
  get readyCount(): number {
    return this.#all().length;
  }

  /** A call of this key begins. `prepare` must hold nothing of the call: it is kept. */
  enter(key: string, prepare: Prepare<W>): Visit<W> {
    const line = this.#lines.get(key) ?? this.#open(key, prepare);
    line.inUse += 1;
    line.usedAt = this.#clock();
    line.peaks = [Math.max(line.peaks[0], line.inUse), line.peaks[1]];
    const worker = this.#take(line);
    this.#refillAfter(REFILL_DELAY_MS);
    return {
      worker,
      leave: (back = null) => {
        line.inUse -= 1;
        if (back !== null && !this.#keep(line, back, 'next')) this.#discard(back);
        this.#refillAfter(0);
      },
      forbid: () => {
        line.isForbidden = true;
      },
    };
  }

  /** Ends every worker that lies ready, and those that are being started. Later calls start anew. */
  async clear(): Promise<void> {
    for (const line of this.#lines.values()) {
      for (const worker of line.ready.splice(0)) this.#discard(worker);
      // What is still being started belongs to a line that is not there any more.
      line.gone.abort();
    }
    this.#lines.clear();
    await Promise.all(this.#leaving);
  }

  /**
   * Ends everything and starts nothing any more.
   *
   * @throws {AggregateError} when a worker left something behind
   */
  async close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /** Work that nobody waits for but `close`, which tells if it failed. */
  adopt(work: Promise<unknown>): void {
    const noted = work.then(
      () => {},
      (cause: unknown) => {
        this.#failures.push(cause);
      },
    );
    this.#leaving.add(noted);
    void noted.then(() => this.#leaving.delete(noted));
  }

  /** Ends what was not used for too long, and forgets keys that are not asked for. */
  sweep(): void {
    const oldest = this.#clock() - this.#bounds.idleMs;
    for (const [key, line] of this.#lines) {
      line.peaks = [line.inUse, line.peaks[0]];
      line.faults = 0;
      if (line.usedAt <= oldest) for (const worker of line.ready.splice(0)) this.#discard(worker);
      while (line.ready.length > this.#wanted(line)) this.#discardLast(line);
      if (line.inUse + line.starting + line.ready.length > 0 || line.usedAt > oldest) continue;
      this.#lines.delete(key);
    }
  }

  #open(key: string, prepare: Prepare<W>): Line<W> {
    const line: Line<W> = {
      prepare,
      ready: [],
      starting: 0,
      inUse: 0,
      peaks: [0, 0],
      usedAt: 0,
      faults: 0,
      isForbidden: false,
      gone: new AbortController(),
    };
    if (this.#closing === null && this.#lines.size < KEYS_MAX) this.#lines.set(key, line);
    // Nobody would find it again, so nothing may be kept in it.
    else line.isForbidden = true;
    return line;
  }

  #take(line: Line<W>): W | null {
    for (let next = line.ready.pop(); next !== undefined; next = line.ready.pop()) {
      if (!next.isFit()) this.#discard(next);
      else {
        line.faults = 0;
        return next;
      }
    }
    return null;
  }

  /** @returns false when it is not wanted any more, or there is no room for it */
  #keep(line: Line<W>, worker: W, turn: 'next' | 'last'): boolean {
    const isWanted = !line.gone.signal.aborted && !line.isForbidden;
    if (!isWanted || this.#closing !== null || !this.#makeRoom(line)) return false;
    // One that has served already is worn out before another is begun.
    if (turn === 'next') line.ready.push(worker);
    else line.ready.unshift(worker);
    worker.onFault(() => this.#onFault(line, worker));
    return true;
  }

  #onFault(line: Line<W>, worker: W): void {
    const at = line.ready.indexOf(worker);
    // It was taken: whoever has it knows.
    if (at < 0) return;
    line.ready.splice(at, 1);
    line.faults += 1;
    this.#discard(worker);
    this.#refillAfter(0);
  }

  #refillAfter(delayMs: number): void {
    if (this.#closing !== null) return;
    if (this.#refill !== null && delayMs > 0) return;
    if (this.#refill !== null) clearTimeout(this.#refill);
    this.#refill = setTimeout(() => {
      this.#refill = null;
      this.#startNext();
    }, delayMs);
    this.#refill.unref();
  }

  #startNext(): void {
    while (this.#closing === null && this.#starting < STARTING_MAX) {
      const line = this.#neediest();
      if (line === undefined || !this.#makeRoom(line)) return;
      this.#start(line);
    }
  }

  /** The one that was used last of those that lack workers. */
  #neediest(): Line<W> | undefined {
    return [...this.#lines.values()]
      .filter((line) => !line.isForbidden && line.faults < FAULTS_MAX)
      .filter((line) => line.ready.length + line.starting < this.#wanted(line))
      .sort((a, b) => b.usedAt - a.usedAt)[0];
  }

  #wanted({ peaks }: Line<W>): number {
    return Math.min(this.#bounds.workersMax, Math.max(...peaks));
  }

  #start(line: Line<W>): void {
    this.#starting += 1;
    line.starting += 1;
    const prepared = line.prepare(line.gone.signal).catch((cause: unknown) => {
      this.#failures.push(cause);
      return null;
    });
    const started = prepared.then(async (worker) => {
      this.#starting -= 1;
      line.starting -= 1;
      if (worker === null) line.faults += 1;
      else this.#memoryGuess = worker.memoryBytes;
      const isKept = worker !== null && this.#keep(line, worker, 'last');
      this.#startNext();
      if (worker !== null && !isKept) await worker.end();
    });
    this.adopt(started);
  }

  /** Whether one more worker fits, after workers of keys that were used longer ago were ended. */
  #makeRoom(line: Line<W>): boolean {
    while (!this.#fits()) {
      const [victim] = [...this.#lines.values()]
        .filter(({ ready, usedAt }) => ready.length > 0 && usedAt < line.usedAt)
        .sort((a, b) => a.usedAt - b.usedAt);
      if (victim === undefined) return false;
      this.#discardLast(victim);
    }
    return true;
  }

  #fits(): boolean {
    const { workersMax, memoryMbMax } = this.#bounds;
    const ready = this.#all();
    const held = ready.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    const coming = (this.#starting + 1) * this.#memoryGuess;
    return ready.length + this.#starting < workersMax && held + coming <= memoryMbMax * 2 ** 20;
  }

  #all(): readonly W[] {
    return [...this.#lines.values()].flatMap(({ ready }) => ready);
  }

  #discardLast(line: Line<W>): void {
    const last = line.ready.shift();
    if (last !== undefined) this.#discard(last);
  }

  #discard(worker: W): void {
    this.adopt(worker.end());
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#onClose();
    if (this.#refill !== null) clearTimeout(this.#refill);
    // What was being started has to be ended first, and that has to be waited for, too.
    do await this.clear();
    while (this.#leaving.size > 0);
    if (this.#failures.length > 0)
      throw new AggregateError(this.#failures, 'a prepared worker left something behind');
  }
}
