import { IJsonError, parseIJson, RESULT_DEPTH_MAX } from '../../worker/protocol.ts';
import type { Json, LimitKind, Limits } from '../call.ts';
import type { ErrorCode } from '../errors.ts';
import type { RunEnd, StopReason } from './runner.ts';

/** What is known of a worker that ended before it gave a result and before we ended it. */
export interface ExitEvidence {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  /** It ended in the middle of a frame. */
  readonly isTruncated: boolean;
}

/** V8's own last words; the process then aborts. */
const HEAP_EXHAUSTED = /FATAL ERROR: .{0,200}heap (?:limit|out of memory)/s;
const ABORT_SIGNALS: readonly (string | null)[] = ['SIGABRT', 'SIGTRAP', 'SIGILL'];

/** How a call ended whose worker went away by itself. Pure. */
export function classifyExit({ code, signal, stderr, isTruncated }: ExitEvidence): RunEnd {
  if (ABORT_SIGNALS.includes(signal) && HEAP_EXHAUSTED.test(stderr)) {
    return {
      status: 'out-of-memory',
      code: 'ENF_LIMIT_MEMORY',
      limit: 'memory',
      message: 'the JavaScript heap of the tool is full',
    };
  }
  if (isTruncated && signal === null) {
    return {
      status: 'protocol-violation',
      code: 'ENF_WORKER_PROTOCOL',
      message: 'the worker ended in the middle of a message',
    };
  }
  const how = signal === null ? `exited with code ${code ?? 'unknown'}` : `was ended by ${signal}`;
  return {
    status: 'crashed',
    code: 'ENF_WORKER_CRASHED',
    message: `the worker ${how} before it gave a result`,
  };
}

/**
 * How a command ended by its exit code: 0 makes stdout the result (JSON if it parses whole, else
 * text without its final newline), anything else is the tool's error. Pure.
 *
 * @param stdout - UNTRUSTED
 */
export function commandEnd(exitCode: number, stdout: string, outputBytesMax: number): RunEnd {
  if (exitCode === 0) return { status: 'ok', value: commandValue(stdout, outputBytesMax) };
  return {
    status: 'tool-error',
    code: 'ENF_TOOL_FAILED',
    message: `the command exited with code ${exitCode}`,
  };
}

function commandValue(stdout: string, bytesMax: number): Json {
  try {
    return parseIJson(stdout, 'stdout', { depthMax: RESULT_DEPTH_MAX, bytesMax }) as Json;
  } catch (cause) {
    if (!(cause instanceof IJsonError)) throw cause;
    return stdout.replace(/\r?\n$/, '').toWellFormed();
  }
}

interface LimitText {
  readonly status: Exclude<RunEnd['status'], 'ok'>;
  readonly code: ErrorCode;
  readonly message: (limits: Limits) => string;
}

const LIMIT_TEXTS: Readonly<Record<LimitKind, LimitText>> = {
  wall: {
    status: 'timeout',
    code: 'ENF_LIMIT_WALL',
    message: ({ wallMs }) => `the call ran longer than ${wallMs / 1000} s`,
  },
  cpu: {
    status: 'cpu-limit',
    code: 'ENF_LIMIT_CPU',
    message: ({ cpuMs }) => `the tool used more than ${cpuMs / 1000} s of CPU time`,
  },
  memory: {
    status: 'out-of-memory',
    code: 'ENF_LIMIT_MEMORY',
    message: ({ memoryBytes }) =>
      `the tool used more than ${inMegabytes(memoryBytes)} MB of memory`,
  },
  output: {
    status: 'output-too-large',
    code: 'ENF_LIMIT_OUTPUT',
    message: ({ outputBytes }) => `the tool gave more than ${outputBytes} bytes of output`,
  },
  processes: {
    status: 'process-limit',
    code: 'ENF_LIMIT_PROCESSES',
    message: ({ processesMax }) => `the tool started more than ${processesMax} processes`,
  },
  disk: {
    status: 'disk-limit',
    code: 'ENF_LIMIT_DISK',
    message: ({ diskBytes }) => `the tool wrote more than ${inMegabytes(diskBytes)} MB`,
  },
};

/** The end of a call that we killed at a limit. Pure. */
export function limitEnd(limit: LimitKind, limits: Limits): RunEnd {
  const { status, code, message } = LIMIT_TEXTS[limit];
  return { status, code, limit, message: message(limits) };
}

/** Codes of calls that were stopped from outside. */
export const STOP_CODES: Readonly<Record<StopReason['status'], ErrorCode>> = {
  killed: 'ENF_CALL_KILLED',
  aborted: 'ENF_CALL_ABORTED',
};

/** The end of a call that the kill switch, a closing enforcer or the caller stopped. Pure. */
export function stopEnd({ status, message }: StopReason): RunEnd {
  return { status, code: STOP_CODES[status], message };
}

function inMegabytes(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 100) / 100;
}
