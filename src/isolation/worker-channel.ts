import type { Duplex } from 'node:stream';
import {
  encodeFrame,
  type FetchMessage,
  FrameDecoder,
  FrameError,
  type SupervisorMessage,
  type ToolFailureCode,
  type WorkerMessage,
} from '../../worker/protocol.ts';
import type { Json } from '../call.ts';
import { frameBytesMaxFor, parseWorkerMessage, WorkerMessageError } from './worker-message.ts';

/** What the worker leaves unread before it is not listened to either. */
const UNREAD_BYTES_MAX = 262_144;
/** Log and progress messages one call may send; more is a flood. */
const NOTICES_MAX = 10_000;

/** What the channel tells of the worker itself. */
export interface WorkerListener {
  /** Once: the worker's own code runs and waits for `start`. */
  ready(): void;
  /** Once: the worker found its confinement other than asked, and did not load the tool. */
  refused(message: string): void;
  /** Any number of times, in a call or outside of one; the first one counts. */
  violation(what: string): void;
}

/** What it tells of one call. Each is called at most as often as its comment says. */
export interface CallListener {
  log(message: string): void;
  progress(done: number, total: number): void;
  /**
   * Any number of times.
   *
   * @throws {WorkerMessageError} when the worker may not say this now
   */
  fetch(message: FetchMessage): void;
  /** Any number of times: more log text than `outputBytesMax`. */
  overflow(): void;
  /** Once, and `failed` then never. */
  result(value: Json | undefined, bytes: number): void;
  failed(code: ToolFailureCode, message: string): void;
}

/** The call whose messages are awaited, and what it has said. */
interface ServedCall {
  readonly callId: string;
  readonly listener: CallListener;
  notices: number;
  logBytes: number;
}

/**
 * The supervisor's end of descriptor 3. Everything read here is UNTRUSTED: the tool shares the
 * descriptor with the worker code, so it may send whatever it likes, including a result of its own
 * choosing. It gains only that result.
 *
 * A worker speaks only while it serves a call: what it says before, between and after calls is a
 * violation, and what it says in a call must carry that call's random id.
 */
export class WorkerChannel {
  readonly #stream: Duplex;
  readonly #outputBytesMax: number;
  readonly #frameBytesMax: number;
  readonly #decoder: FrameDecoder;
  readonly #listener: WorkerListener;
  #state: 'starting' | 'waiting' | 'serving' | 'answered' | 'closed' = 'starting';
  #call: ServedCall | null = null;
  #isWaiting = false;

  constructor(stream: Duplex, outputBytesMax: number, listener: WorkerListener) {
    this.#stream = stream;
    this.#outputBytesMax = outputBytesMax;
    this.#listener = listener;
    this.#frameBytesMax = frameBytesMaxFor(outputBytesMax);
    this.#decoder = new FrameDecoder(this.#frameBytesMax);
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /**
   * From now on the worker may speak for this call, which its `start` message must follow.
   *
   * @returns false, and nothing may be sent, when it does not wait for a call
   */
  serve(callId: string, listener: CallListener): boolean {
    if (this.#state !== 'waiting' && this.#state !== 'answered') return false;
    this.#call = { callId, listener, notices: 0, logBytes: 0 };
    this.#state = 'serving';
    return true;
  }

  /** It waits for a call, and not even a part of a message has come from it. */
  get isIdle(): boolean {
    const isBetween = this.#state === 'waiting' || this.#state === 'answered';
    return isBetween && this.#decoder.heldBytes === 0;
  }

  /** A frame began and the stream ended: true once the worker is gone. */
  get isTruncated(): boolean {
    return this.#decoder.heldBytes > 0;
  }

  send(message: SupervisorMessage): void {
    this.sendText(JSON.stringify(message));
  }

  /** For a message whose arguments are text already. */
  sendText(json: string): void {
    if (!this.#stream.writable) return;
    this.#stream.write(encodeFrame(json));
    if (this.#stream.writableLength > UNREAD_BYTES_MAX) this.#waitUntilRead();
  }

  /** Whoever asks without reading the answers would fill our memory with them. */
  #waitUntilRead(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#stream.pause();
    this.#stream.once('drain', () => {
      this.#isWaiting = false;
      if (this.#state !== 'closed') this.#stream.resume();
    });
  }

  #read(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#dispatch(parseWorkerMessage(frame, this.#frameBytesMax), frame.length);
      }
    } catch (cause) {
      if (!(cause instanceof FrameError || cause instanceof WorkerMessageError)) throw cause;
      this.#violation(cause.message);
    }
  }

  #dispatch(message: WorkerMessage, length: number): void {
    const call = this.#call;
    // What came in one chunk with the violation.
    if (this.#state === 'closed') return;
    if (this.#state === 'starting') return this.#first(message);
    if (this.#state === 'answered') return this.#violation('a message after its result');
    if (call === null) return this.#violation('a message without a call');
    if (message.type === 'ready' || message.type === 'refused') {
      return this.#violation(`\`${message.type}\` after it was ready`);
    }
    if (message.callId !== call.callId) return this.#violation('a message for another call');
    if (message.type === 'log' || message.type === 'progress') return this.#notice(call, message);
    if (isFetchMessage(message)) return call.listener.fetch(message);
    this.#state = 'answered';
    // What waits for another call holds nothing of the last one.
    this.#call = null;
    if (message.type === 'failed') call.listener.failed(message.code, message.message);
    // parseWorkerMessage accepted only I-JSON, so what it calls unknown is Json.
    else call.listener.result(message.value as Json | undefined, length);
  }

  #first(message: WorkerMessage): void {
    if (message.type === 'ready') {
      this.#state = 'waiting';
      this.#listener.ready();
    } else if (message.type === 'refused') {
      this.#state = 'answered';
      this.#listener.refused(message.message);
    } else {
      this.#violation('a message before it was ready');
    }
  }

  #notice(call: ServedCall, message: WorkerMessage & { type: 'log' | 'progress' }): void {
    call.notices += 1;
    if (call.notices > NOTICES_MAX) this.#violation('more log and progress messages than allowed');
    else if (message.type === 'log') this.#log(call, message.message);
    else call.listener.progress(message.done, message.total);
  }

  /** Log text is output like stdout, and redacting it costs us as much. */
  #log(call: ServedCall, text: string): void {
    call.logBytes += Buffer.byteLength(text);
    if (call.logBytes > this.#outputBytesMax) call.listener.overflow();
    else call.listener.log(text);
  }

  /** Stops reading: the stream is flowing garbage, and the worker is about to be killed. */
  #violation(what: string): void {
    this.#state = 'closed';
    this.#stream.pause();
    this.#stream.removeAllListeners('data');
    this.#listener.violation(`the worker sent ${what}`);
  }
}

function isFetchMessage(
  message: WorkerMessage,
): message is FetchMessage & { readonly callId: string } {
  return message.type.startsWith('fetch');
}
