import type { Terminal } from './terminal.ts';

/** How far something is, on stderr while it lasts. */
export interface Progress {
  /** @param total - unknown: only the count is shown */
  update(done: number, total?: number): void;
  /** Removes the line, so that what is written next stands alone. */
  clear(): void;
}

export interface ProgressOptions {
  /** What is counted, one word: `verify`. */
  readonly label: string;
  /** Milliseconds that never go back. */
  readonly clock?: () => number;
}

/** What ends sooner shows no bar. */
const QUIET_MS = 500;
const REDRAW_MS = 100;
const BAR_CELLS = 30;
const CLEAR_LINE = '\r\u001b[K';

/**
 * A progress bar for people: only where stderr is a terminal, and only for what takes longer than
 * half a second. Anywhere else it does nothing.
 */
export function startProgress(
  { err, isErrTerminal }: Pick<Terminal, 'err' | 'isErrTerminal'>,
  { label, clock = () => performance.now() }: ProgressOptions,
): Progress {
  if (!isErrTerminal) return { update: () => {}, clear: () => {} };
  const began = clock();
  let nextMs = began + QUIET_MS;
  let isShown = false;
  return {
    update(done, total) {
      const now = clock();
      if (now < nextMs) return;
      nextMs = now + REDRAW_MS;
      isShown = true;
      err(`${CLEAR_LINE}${label} ${describe(done, total, now - began)}`);
    },
    clear() {
      if (isShown) err(CLEAR_LINE);
      isShown = false;
    },
  };
}

function describe(done: number, total: number | undefined, elapsedMs: number): string {
  if (total === undefined || total <= 0) return `${done} in ${seconds(elapsedMs)}`;
  const share = Math.min(1, done / total);
  const full = Math.floor(share * BAR_CELLS);
  const bar = `${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}`;
  const percent = String(Math.floor(share * 100)).padStart(3);
  const left = share > 0 && share < 1 ? `, ${seconds((elapsedMs * (1 - share)) / share)} left` : '';
  return `[${bar}] ${percent} %${left}`;
}

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
