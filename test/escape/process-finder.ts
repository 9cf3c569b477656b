import { readdirSync, readFileSync } from 'node:fs';
import { isRunning } from '../fixtures/observe.ts';

/** A process older than this has its name; it is not read again. */
const SETTLED_MS = 20_000;

interface Known {
  /** In milliseconds, when it was first seen. */
  readonly since: number;
  readonly settled: string | null;
}

/**
 * Finds processes by a word in their command line, wherever they hide. Looks cost little: most
 * processes of a host were there before and are read only once.
 */
export class ProcessFinder {
  /** When each process was first seen, and its command line once it is settled. */
  #known: ReadonlyMap<string, Known> = new Map();

  /** Pids of the running processes, other than this one, whose command line holds the word. */
  find(word: string): readonly number[] {
    const now = performance.now();
    const known = new Map<string, Known>();
    const found: number[] = [];
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const { since, settled } = this.#known.get(name) ?? { since: now, settled: null };
      const line = settled ?? commandLineOf(name);
      known.set(name, { since, settled: now - since > SETTLED_MS ? line : null });
      if (line.includes(word)) found.push(Number(name));
    }
    this.#known = known;
    return found.filter((pid) => pid !== process.pid && isRunning(pid));
  }
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
