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

/** What the channel tells its supervisor. Each is called at most as often as its comment says. */
export interface ChannelListener {
  /** Once: the worker's own code runs and waits for `start`. */
  ready(): void;
  /** Once: the worker found its confinement other than asked, and did not load the tool. */
  refused(message: string): void;
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
  /** Any number of times; the first one counts. */
  violation(what: string): void;
}

/**
 * The supervisor's end of descriptor 3. Everything read here is UNTRUSTED: the tool shares the
 * descriptor with the worker code, so it may send whatever it likes, including a result of its own
 * choosing. It gains only that result.
 */
export class WorkerChannel {
  readonly #stream: Duplex;
  readonly #callId: string;
  readonly #outputBytesMax: number;
  readonly #frameBytesMax: number;
  readonly #decoder: FrameDecoder;
  readonly #listener: ChannelListener;
  #state: 'starting' | 'ready' | 'ended' = 'starting';
  #notices = 0;
  #logBytes = 0;
  #isWaiting = false;
  #isViolated = false;

  constructor(
    stream: Duplex,
    call: { readonly callId: string; readonly outputBytesMax: number },
    listener: ChannelListener,
  ) {
    this.#stream = stream;
    this.#callId = call.callId;
    this.#outputBytesMax = call.outputBytesMax;
    this.#listener = listener;
    this.#frameBytesMax = frameBytesMaxFor(call.outputBytesMax);
    this.#decoder = new FrameDecoder(this.#frameBytesMax);
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
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
      if (!this.#isViolated) this.#stream.resume();
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
    if (this.#state === 'starting') return this.#first(message);
    if (this.#state === 'ended') return this.#violation('a message after its result');
    if (message.type === 'ready' || message.type === 'refused') {
      return this.#violation(`\`${message.type}\` after it was ready`);
    }
    if (message.callId !== this.#callId) return this.#violation('a message for another call');
    if (message.type === 'log' || message.type === 'progress') return this.#notice(message);
    if (isFetchMessage(message)) return this.#listener.fetch(message);
    this.#state = 'ended';
    if (message.type === 'failed') this.#listener.failed(message.code, message.message);
    // parseWorkerMessage accepted only I-JSON, so what it calls unknown is Json.
    else this.#listener.result(message.value as Json | undefined, length);
  }

  #first(message: WorkerMessage): void {
    if (message.type === 'ready') {
      this.#state = 'ready';
      this.#listener.ready();
    } else if (message.type === 'refused') {
      this.#state = 'ended';
      this.#listener.refused(message.message);
    } else {
      this.#violation('a message before it was ready');
    }
  }

  #notice(message: WorkerMessage & { type: 'log' | 'progress' }): void {
    this.#notices += 1;
    if (this.#notices > NOTICES_MAX) this.#violation('more log and progress messages than allowed');
    else if (message.type === 'log') this.#log(message.message);
    else this.#listener.progress(message.done, message.total);
  }

  /** Log text is output like stdout, and redacting it costs us as much. */
  #log(text: string): void {
    this.#logBytes += Buffer.byteLength(text);
    if (this.#logBytes > this.#outputBytesMax) this.#listener.overflow();
    else this.#listener.log(text);
  }

  /** Stops reading: the stream is flowing garbage, and the worker is about to be killed. */
  #violation(what: string): void {
    this.#state = 'ended';
    this.#isViolated = true;
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
