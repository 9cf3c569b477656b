import type { Readable } from 'node:stream';

/** Where a command reads and writes. Injected, so that tests need no process. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Readable;
  /** For results only: another program may read it. */
  readonly out: (text: string) => void;
  /** For everything meant for people. */
  readonly err: (text: string) => void;
  readonly isOutTerminal: boolean;
  readonly isErrTerminal: boolean;
  /** Calls back on SIGINT and SIGTERM. @returns stops calling back */
  readonly onInterrupt: (listener: (signal: 'SIGINT' | 'SIGTERM') => void) => () => void;
}

/** The terminal of this process. A reader that went away (`… | head`) ends it without a word. */
export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EPIPE') throw cause;
      process.exit();
    });
  }
  return {
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isOutTerminal: process.stdout.isTTY === true,
    isErrTerminal: process.stderr.isTTY === true,
    onInterrupt: (listener) => {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      return () => {
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      };
    },
  };
}

/**
 * Text as it may be shown on a terminal: control characters that would move the cursor, change the
 * title or colours become visible. Newlines and tabs stay.
 *
 * @param text - UNTRUSTED: printed by a tool
 */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, visible);
}

/** {@link printable} on a single line. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

function visible(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
