import { constants } from 'node:fs';
import { type FileLayer, nodeFileLayer, writeFully } from './file-layer.ts';
import type { SealedEntry } from './sealed-line.ts';
import { withTimeout } from './timeout.ts';

/**
 * A further place that takes every entry, such as a database.
 *
 * The exact bytes of the line are the truth and must be given back unchanged; sequence number and
 * hash are there for an index. Entries come one at a time and in order. An entry that a backend does
 * not take is an entry that could not be written: the call it belongs to does not run.
 */
export interface AuditBackend {
  write(entry: SealedEntry): void | Promise<void>;
  /** Takes a signed checkpoint, where the backend keeps them. */
  checkpoint?(note: string): void | Promise<void>;
  close(): void | Promise<void>;
}

const TIMEOUT_MS = 5_000;

/** Takes entries and keeps none. */
export function nullBackend(): AuditBackend {
  return { write: () => {}, close: () => {} };
}

/**
 * Appends the lines to one file, which verifies like a segment.
 *
 * @param path - created with mode 0600; it has one writer
 */
export function jsonlBackend(path: string, files: FileLayer = nodeFileLayer): AuditBackend {
  const { O_APPEND, O_CREAT, O_WRONLY } = constants;
  const fd = files.openSync(path, O_APPEND | O_CREAT | O_WRONLY);
  let size = files.fstatSync(fd).size;
  return {
    write({ line }) {
      try {
        writeFully(files, fd, line);
        size += line.length;
      } catch (error) {
        files.ftruncateSync(fd, size);
        throw error;
      }
    },
    close: () => files.closeSync(fd),
  };
}

/** How a callback backend treats its function. */
export interface CallbackBackendOptions {
  /** After which a call that has not settled counts as failed. */
  readonly timeoutMs?: number;
  /** Is told of every failure; the entry counts as not written all the same. */
  readonly onError?: (error: unknown, entry: SealedEntry) => void;
}

/** Hands entries to a function. */
export function callbackBackend(
  write: (entry: SealedEntry) => void | Promise<void>,
  { timeoutMs = TIMEOUT_MS, onError }: CallbackBackendOptions = {},
): AuditBackend {
  return {
    async write(entry) {
      try {
        await withTimeout(async () => write(entry), timeoutMs, 'the audit callback');
      } catch (error) {
        onError?.(error, entry);
        throw error;
      }
    },
    close: () => {},
  };
}

/** Gives entries to several backends. All are tried; an entry is written when all have taken it. */
export function multiBackend(backends: readonly AuditBackend[]): AuditBackend {
  const each = async (use: (backend: AuditBackend) => void | Promise<void>): Promise<void> => {
    const results = await Promise.allSettled(backends.map(async (backend) => use(backend)));
    const reasons = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    if (reasons.length > 0) {
      throw new AggregateError(reasons, `${reasons.length} of ${backends.length} backends failed`);
    }
  };
  return {
    write: (entry) => each((backend) => backend.write(entry)),
    checkpoint: (note) => each((backend) => backend.checkpoint?.(note)),
    close: () => each((backend) => backend.close()),
  };
}
