/** Looks again at least this often: places also become free in other processes. */
const LOOK_MS = 100;

/** Calls that wait for places, in the order in which they came. */
export interface WaitingLines {
  /** True when somebody waits for the key already, so that nobody overtakes. */
  isWaiting(key: string): boolean;
  /** @returns null when as many wait as may */
  join(key: string, callsMax: number): Turn | null;
  /** A place of the key may have become free. */
  wake(key: string): void;
}

/** A place in a line. The one in front asks, the others wait. */
export interface Turn {
  readonly isFirst: boolean;
  /** Resolves when it is worth asking again: a wake, the poll interval, the end of the wait. */
  next(waitMs: number, signal?: AbortSignal): Promise<void>;
  leave(): void;
}

/** Lines of one ledger. Nothing keeps a line alive but the calls in it. */
export function createWaitingLines(): WaitingLines {
  const lines = new Map<string, Waiter[]>();

  const leave = (key: string, waiter: Waiter): void => {
    const line = (lines.get(key) ?? []).filter((each) => each !== waiter);
    if (line.length === 0) lines.delete(key);
    else lines.set(key, line);
    line[0]?.wake();
  };

  return {
    isWaiting: (key) => lines.has(key),
    join(key, callsMax) {
      const line = lines.get(key) ?? [];
      if (line.length >= callsMax) return null;
      const waiter = new Waiter();
      lines.set(key, [...line, waiter]);
      return {
        get isFirst() {
          return lines.get(key)?.[0] === waiter;
        },
        next: (waitMs, signal) => waiter.wait(Math.min(waitMs, LOOK_MS), signal),
        leave: () => leave(key, waiter),
      };
    },
    wake: (key) => lines.get(key)?.[0]?.wake(),
  };
}

class Waiter {
  #wake: (() => void) | undefined;
  /** A wake between two waits must not be lost. */
  #isWoken = false;

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  async wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isWoken || signal?.aborted === true) {
      this.#isWoken = false;
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, waitMs);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    clearTimeout(timer);
    this.#wake = undefined;
    this.#isWoken = false;
  }
}
