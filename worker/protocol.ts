/**
 * The protocol between supervisor and worker, and the only file both sides know.
 *
 *   supervisor ── start, abort ──▶ worker          descriptor 3, both ways:
 *   supervisor ◀── ready, log, progress, result, failed, refused ── worker
 *   supervisor ◀══ requests of a tool without a network, see fetch-protocol ══▶ worker
 *
 * A frame is a big-endian u32 length followed by that many bytes of UTF-8 JSON. It is never Node's
 * own `ipc` channel: one malformed line on that is an uncaught exception in the supervisor, and it
 * buffers without bound (measured on Node 20: 200 MB sent, 693 MB resident).
 */

import { TextDecoder } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import type { FetchMessage, FetchReply } from './fetch-protocol.ts';

export type { FetchMessage, FetchReply, FetchRequest } from './fetch-protocol.ts';
export { encodeIJson, type IJsonBounds, IJsonError, parseIJson } from './i-json.ts';

/** Deepest result a worker may return. */
export const RESULT_DEPTH_MAX = 200;
/** Longest log message that is passed on; the rest is cut by the worker. */
export const LOG_CHARS_MAX = 8192;
/** Room for the fields around a value in one frame. */
export const FRAME_OVERHEAD_BYTES = 65_536;

/** What a worker in a sandbox is told on its command line, as JSON. */
export interface WorkerSetup {
  /** It must find itself confined and running as this user, or it does not load the tool. */
  readonly uid: number;
  /** Its way out, where the policy names domains. */
  readonly way?: { readonly socketPath: string; readonly credentials: string };
}

/** Sent to a worker that said it is ready, or that ended a call which said `more`. */
export interface StartMessage {
  readonly type: 'start';
  readonly callId: string;
  readonly tool: string;
  /** Absolute path of the module. */
  readonly module: string;
  /** Absent: the default export. */
  readonly export?: string;
  /** Another call may follow: the worker does not end with this one. */
  readonly more?: boolean;
  readonly args: unknown;
  readonly resultBytesMax: number;
  /** The supervisor makes the requests of `fetch`. */
  readonly brokersFetch?: true;
}

/** The call is about to be ended: `context.signal` fires. The kill follows from outside. */
export interface AbortMessage {
  readonly type: 'abort';
  readonly reason: string;
}

export type SupervisorMessage = StartMessage | AbortMessage | FetchReply;

/** Why a tool gave no value. */
export type ToolFailureCode =
  | 'ENF_TOOL_FAILED'
  | 'ENF_TOOL_LOAD'
  | 'ENF_TOOL_EXPORT'
  | 'ENF_TOOL_RESULT'
  | 'ENF_LIMIT_OUTPUT';

/** How a tool ended: its value as I-JSON text (undefined when it returned nothing), or why not. */
export type ToolEnd =
  | { readonly ok: true; readonly json: string | undefined }
  | { readonly ok: false; readonly code: ToolFailureCode; readonly message: string };

/** UNTRUSTED once the tool is loaded: the supervisor checks each against a schema. */
export type WorkerMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'log'; readonly callId: string; readonly message: string }
  | {
      readonly type: 'progress';
      readonly callId: string;
      readonly done: number;
      readonly total: number;
    }
  | (FetchMessage & { readonly callId: string })
  | { readonly type: 'result'; readonly callId: string; readonly value?: unknown }
  | {
      readonly type: 'failed';
      readonly callId: string;
      readonly code: ToolFailureCode;
      readonly message: string;
    };

/** What a thread is given (through piscina), with a port for what it says while it runs. */
export interface ThreadTask {
  readonly start: StartMessage;
  readonly port: MessagePort;
  /** Of stdout and of stderr; nothing is posted beyond it but the overflow itself. */
  readonly outputBytesMax: number;
}

/** What a thread says on its port while the tool runs. */
export type ThreadNotice =
  | { readonly type: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | { readonly type: 'overflow' }
  | { readonly type: 'log'; readonly message: string }
  | { readonly type: 'progress'; readonly done: number; readonly total: number };

/** A frame of `json`, ready to be written. */
export function encodeFrame(json: string): Buffer {
  const body = Buffer.from(json, 'utf8');
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

/** Why bytes are not frames. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Cuts a byte stream into frames. A length that is too large is refused from its four bytes, before
 * anything is kept for it. What is kept of an unfinished frame is copied into one growing buffer:
 * a frame that arrives byte by byte costs no more memory than one that arrives whole.
 */
export class FrameDecoder {
  readonly #frameBytesMax: number;
  readonly #text: TextDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #buffer: Buffer = Buffer.alloc(0);
  #held = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes of a frame that has begun and not ended. */
  get heldBytes(): number {
    return this.#held;
  }

  /**
   * The frames that `chunk` completes, as text.
   *
   * @throws {FrameError} on a length of zero or beyond the bound, and on invalid UTF-8
   */
  push(chunk: Buffer): string[] {
    const isContinued = this.#held > 0;
    const bytes = isContinued ? this.#append(chunk) : chunk;
    const frames: string[] = [];
    let at = 0;
    for (let end = this.#endOf(bytes, at); end !== null; end = this.#endOf(bytes, at)) {
      frames.push(this.#decode(bytes.subarray(at + 4, end)));
      at = end;
    }
    const rest = bytes.subarray(at);
    if (!isContinued) this.#buffer = Buffer.from(rest);
    else if (at > 0) this.#buffer.set(rest);
    this.#held = rest.length;
    return frames;
  }

  /** Where the frame that begins at `at` ends; null when more bytes are needed. */
  #endOf(bytes: Buffer, at: number): number | null {
    if (bytes.length - at < 4) return null;
    const length = bytes.readUInt32BE(at);
    if (length === 0 || length > this.#frameBytesMax) {
      throw new FrameError(`a frame of ${length} bytes, expected 1 to ${this.#frameBytesMax}`);
    }
    const end = at + 4 + length;
    return bytes.length < end ? null : end;
  }

  #append(chunk: Buffer): Buffer {
    const needed = this.#held + chunk.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(grown, 0, 0, this.#held);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#held);
    this.#held = needed;
    return this.#buffer.subarray(0, needed);
  }

  #decode(bytes: Buffer): string {
    try {
      return this.#text.decode(bytes);
    } catch {
      throw new FrameError('a frame that is not UTF-8');
    }
  }
}
