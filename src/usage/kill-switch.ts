import { closeSync, constants, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { EnforceError } from '../errors.ts';

/** How often the file is looked at; a trip by file is seen within 250 ms also on a busy host. */
const POLL_MS = 100;

/** A reason is one line for people. */
const REASON_BYTES_MAX = 1024;

/** Whether calls may start. */
export interface KillSwitchState {
  readonly tripped: boolean;
  readonly reason?: string;
}

/** Stops every call under it at once, until somebody resets it. */
export interface KillSwitch {
  readonly state: KillSwitchState;

  /** Trips it here and, with a file, in every process that watches the file. Never undone by a failure to write. */
  trip(reason: string): void;

  /**
   * Lets calls start again, and removes the file.
   *
   * @param actor - who takes responsibility; reported to listeners
   * @throws {EnforceError} `ENF_KILL_FILE` when the file cannot be removed: the switch stays tripped
   */
  reset(actor: string): void;

  /**
   * Calls back on every change. What a listener throws reaches whoever tripped or reset the
   * switch, after every listener was told.
   *
   * @returns stops calling back
   */
  onChange(listener: (change: KillSwitchChange) => void): () => void;

  /** Stops watching the file and listening for the signal. The state stays as it is. */
  close(): void;
}

export interface KillSwitchChange extends KillSwitchState {
  /** Who reset it, or how it was tripped. */
  readonly by: string;
}

export interface KillSwitchOptions {
  /** `<state>/KILL`. Present means tripped; its text is the reason. */
  readonly file?: string;
  /** Trips on SIGUSR2 too. Off by default: the signal belongs to the program. */
  readonly signal?: boolean;
}

/**
 * A kill switch. With a file, the file is the truth: present at the start means tripped, and what
 * cannot be looked at counts as present. The caller closes it.
 */
export function createKillSwitch(options: KillSwitchOptions = {}): KillSwitch {
  const { file } = options;
  const listeners = new Set<(change: KillSwitchChange) => void>();
  let state: KillSwitchState = file === undefined ? RUNNING : stateOfFile(file);
  /** A trip that could not be written must not be undone by the absence of the file. */
  let isWritten = file !== undefined;
  /** Trips and resets in this process. A look that began before one of them saw the past. */
  let epoch = 0;

  const change = (next: KillSwitchState, by: string): void => {
    if (next.tripped === state.tripped) return;
    state = next;
    notify(listeners, { ...next, by });
  };

  const trip = (reason: string, by: string): void => {
    const line = oneLine(reason) || 'no reason given';
    epoch += 1;
    if (file !== undefined) isWritten = writeReason(file, line);
    change({ tripped: true, reason: line }, by);
  };

  const look = async (): Promise<void> => {
    const began = epoch;
    const present = await isPresent(file ?? '');
    if (began !== epoch) return;
    if (present && file !== undefined) change(stateOfFile(file), 'file');
    else if (isWritten) change(RUNNING, 'file');
  };

  const stopWatching = file === undefined ? () => {} : watch(look);
  const onSignal = (): void => trip('SIGUSR2', 'signal');
  if (options.signal === true) process.on('SIGUSR2', onSignal);

  return {
    get state() {
      return state;
    },
    trip: (reason) => trip(reason, 'call'),
    reset(actor) {
      epoch += 1;
      if (file !== undefined) removeFile(file);
      change(RUNNING, oneLine(actor) || 'unknown');
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      stopWatching();
      process.off('SIGUSR2', onSignal);
    },
  };
}

const RUNNING: KillSwitchState = { tripped: false };

/** Tells every listener, also when one of them throws; then throws what they threw. */
function notify(
  listeners: ReadonlySet<(change: KillSwitchChange) => void>,
  change: KillSwitchChange,
): void {
  const errors: unknown[] = [];
  for (const listener of listeners) {
    try {
      listener(change);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'a listener of the kill switch threw');
}

/** Polls without keeping the process alive and without overlapping looks. */
function watch(look: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout;
  let closed = false;
  const next = (): void => {
    if (closed) return;
    timer = setTimeout(() => void look().finally(next), POLL_MS);
    timer.unref();
  };
  next();
  return () => {
    closed = true;
    clearTimeout(timer);
  };
}

async function isPresent(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    // Fail closed: a folder that may no longer be looked into is not an all-clear.
    return !isAbsence(error);
  }
}

function isAbsence(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Reads the reason without following a link, so that nothing outside the folder is quoted. */
function stateOfFile(file: string): KillSwitchState {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const descriptor = openSync(file, flags);
    try {
      const bytes = Buffer.alloc(REASON_BYTES_MAX);
      const length = readSync(descriptor, bytes, 0, bytes.length, 0);
      const reason = oneLine(bytes.subarray(0, length).toString('utf8'));
      return { tripped: true, reason: reason || 'the kill file is present' };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (isAbsence(error)) return RUNNING;
    return { tripped: true, reason: 'the kill file is present and cannot be read' };
  }
}

/** @returns false when the file could not be written; the trip then holds in this process only */
function writeReason(file: string, reason: string): boolean {
  try {
    writeFileSync(file, `${reason}\n`, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    // Already there: another process tripped first, which is just as good.
    return (error as NodeJS.ErrnoException).code === 'EEXIST';
  }
}

function removeFile(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (error) {
    throw new EnforceError('ENF_KILL_FILE', `the kill file \`${file}\` cannot be removed`, {
      cause: error,
    });
  }
}

/** Control characters go: terminals obey them. */
function oneLine(text: string): string {
  return text
    .slice(0, REASON_BYTES_MAX)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}
