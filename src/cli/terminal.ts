import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { EXIT } from './exit-code.ts';

/** Where a command reads and writes. Injected, so that tests need no process. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Readable;
  /** For results only: another program may read it. */
  readonly out: (text: string) => void;
  /**
   * Resolves when `out` may take more: at once, or when its reader caught up; to false when the
   * reader is gone.
   */
  readonly canWrite: () => Promise<boolean>;
  /** For everything meant for people. */
  readonly err: (text: string) => void;
  readonly isOutTerminal: boolean;
  readonly isErrTerminal: boolean;
  /** Width of the terminal; Infinity where output goes elsewhere: nothing is broken then. */
  readonly columns: number;
  /** Resolves when all of `out` was taken by its reader; rejects with why it could not be written. */
  readonly flush: () => Promise<void>;
  /** Calls back on SIGINT and SIGTERM. @returns stops calling back */
  readonly onInterrupt: (listener: (signal: 'SIGINT' | 'SIGTERM') => void) => () => void;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  let failure: Error | null = null;
  let hasReader = true;
  process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    hasReader = false;
    // EPIPE: whoever read it has enough, as `head` has.
    if (cause.code === 'EPIPE') return;
    failure ??= new Error(`standard output cannot be written (${cause.code})`, { cause });
  });
  // Where not even stderr can be written there is nobody left to tell.
  process.stderr.on('error', () => {});
  return {
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    out: (text) => process.stdout.write(text),
    canWrite: async () => {
      // The error of a write is told in the next tick.
      await null;
      if (hasReader && process.stdout.writableNeedDrain) {
        await drained(process.stdout);
      }
      return hasReader;
    },
    err: (text) => process.stderr.write(text),
    isOutTerminal: process.stdout.isTTY === true,
    isErrTerminal: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? process.stderr.columns ?? Infinity,
    flush: async () => {
      await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
      if (failure !== null) throw failure;
    },
    onInterrupt: (listener) => {
      let isRepeated = false;
      const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
        // Whoever asks twice wants out now. Tools are killed on the way (see isolation/exit-guard.ts).
        if (isRepeated) process.exit(EXIT[signal]);
        isRepeated = true;
        listener(signal);
      };
      process.on('SIGINT', onSignal);
      process.on('SIGTERM', onSignal);
      return () => {
        process.off('SIGINT', onSignal);
        process.off('SIGTERM', onSignal);
      };
    },
  };
}

/** Waits until a stream takes more, or never will; leaves no listener behind. */
async function drained(stream: Writable): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  const events = ['drain', 'close'].map((event) => once(stream, event, { signal }));
  // An error rejects one of them; the listener above knows of it already.
  await Promise.race(events).catch(() => {});
  settled.abort();
  await Promise.allSettled(events);
}

/** What reorders text on a terminal, so that it reads as something else. */
const REORDERING = '\\u202a-\\u202e\\u2066-\\u2069';
const HIDDEN = new RegExp(`[^\\P{Cc}\\n\\t]|[${REORDERING}]`, 'gu');
const BREAKS = new RegExp(`[\\p{Cc}\\u2028\\u2029${REORDERING}]+`, 'gu');

/**
 * Text as it may be shown on a terminal: control characters that would move the cursor, change the
 * title, colours or the direction become visible. Newlines and tabs stay.
 *
 * @param text - UNTRUSTED: printed by a tool
 */
export function printable(text: string): string {
  return text.replace(HIDDEN, visible);
}

/** {@link printable}, and line breaks and tabs become visible too. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\n\t\u2028\u2029]/g, visible);
}

/** {@link printable} on a single line. */
export function oneLine(text: string): string {
  return text.replace(BREAKS, ' ').trim();
}

function visible(char: string): string {
  const code = char.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}
