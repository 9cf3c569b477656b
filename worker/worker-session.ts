import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  encodeFrame,
  type FetchReply,
  FrameDecoder,
  type StartMessage,
  type SupervisorMessage,
  type ToolEnd,
  type WorkerMessage,
} from './protocol.ts';
import { runTool } from './run-tool.ts';
import { createContext } from './tool-context.ts';

/** A worker that waits so long was started before its call. */
const REHEARSAL_MS = 25;
const REHEARSAL: Omit<StartMessage, 'module'> = {
  type: 'start',
  callId: 'none',
  tool: 'none',
  export: 'doNothing',
  args: {},
  resultBytesMax: 64,
};
/** The supervisor is trusted: this bound only keeps a broken pipe from filling the heap. */
const SUPERVISOR_FRAME_BYTES_MAX = 2 ** 31;

/**
 * The calls of one channel: says it is ready, waits for `start`, runs the tool, sends its end, and
 * waits again where the supervisor said that more may follow.
 *
 * @param channel - descriptor 3 as a stream
 * @param flush - resolves when stdout and stderr reached the pipe, so that no output follows the result
 * @returns when the last message is written, and where requests were brokered, when the supervisor
 *   has hung up. Rejects when the supervisor hung up before the end
 */
export async function serveCalls(channel: Duplex, flush: () => Promise<void>): Promise<void> {
  const inbox = new Inbox(channel);
  await send(channel, { type: 'ready' });
  const rehearsal = setTimeout(() => void rehearse(flush), REHEARSAL_MS);
  rehearsal.unref();
  let start: StartMessage;
  do {
    start = await inbox.next();
    clearTimeout(rehearsal);
    await serve(channel, start, inbox, flush);
  } while (start.more === true);
}

/**
 * Goes once through what a call goes through, with a tool that does nothing: the engine compiles
 * what runs for the first time, which takes longer than to run it (1 ms of 2, measured on Node 20).
 */
async function rehearse(flush: () => Promise<void>): Promise<void> {
  const module = join(import.meta.dirname, 'rehearsal-entry.js');
  const { context } = createContext(new AbortController().signal, () => {});
  await runTool({ ...REHEARSAL, module }, context);
  await flush();
}

async function serve(
  channel: Duplex,
  start: StartMessage,
  inbox: Inbox,
  flush: () => Promise<void>,
): Promise<void> {
  const { callId } = start;
  const endFetch = start.brokersFetch === true ? await openFetch(channel, callId, inbox) : null;
  const { context, end: endContext } = createContext(inbox.signal, (notice) => {
    channel.write(encode({ ...notice, callId }));
  });
  const end = await runTool(start, context);
  await flush();
  // What a forgotten timer of the tool logs after the result would be a violation.
  endContext();
  endFetch?.();
  await sendEnd(channel, callId, end);
  // Answers to requests nobody waited for may be on their way. Whoever left now would break the
  // stream they are written to, and with it lose the result.
  if (endFetch !== null && start.more !== true) await once(channel, 'close');
}

/** Loaded only where it is needed: each module costs a millisecond of every start. */
async function openFetch(channel: Duplex, callId: string, inbox: Inbox): Promise<() => void> {
  const { brokerFetch } = await import('./brokered-fetch.ts');
  const dispatcher = brokerFetch((message) => {
    channel.write(encode({ ...message, callId }));
  });
  inbox.onFetchReply = (reply) => dispatcher.receive(reply);
  return () => dispatcher.end();
}

/** Says that this worker is not confined as it was asked for, instead of being ready. */
export function refuse(channel: Duplex, message: string): Promise<void> {
  return send(channel, { type: 'refused', message });
}

/** What the supervisor sends: one `start` at a time, and an `abort` for the call it belongs to. */
class Inbox {
  /** Gets the answers to requests of the call that `next` gave last. */
  onFetchReply: (reply: FetchReply) => void = () => {};
  #abort = new AbortController();
  #start: StartMessage | null = null;
  #failure: Error | null = null;
  #wake: () => void = () => {};

  constructor(channel: Duplex) {
    const decoder = new FrameDecoder(SUPERVISOR_FRAME_BYTES_MAX);
    channel.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) this.#take(JSON.parse(frame) as SupervisorMessage);
    });
    channel.on('error', (cause) => this.#fail(cause));
    channel.on('end', () => this.#fail(new Error('the supervisor hung up')));
  }

  /** Of the call that `next` gave last. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The next call. Rejects when there will be none. */
  async next(): Promise<StartMessage> {
    while (this.#start === null) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const start = this.#start;
    this.#start = null;
    return start;
  }

  #fail(cause: Error): void {
    this.#failure ??= cause;
    this.#wake();
  }

  #take(message: SupervisorMessage): void {
    if (message.type === 'abort') return this.#abort.abort(new Error(message.reason));
    if (message.type !== 'start') return this.onFetchReply(message);
    // A new one for each call: an abort that came after a result is nobody's.
    this.#abort = new AbortController();
    this.#start = message;
    this.#wake();
  }
}

/** The value is text already; it is spliced in so that it is not serialised twice. */
async function sendEnd(channel: Duplex, callId: string, end: ToolEnd): Promise<void> {
  if (!end.ok) {
    const message = end.message.toWellFormed();
    return send(channel, { type: 'failed', callId, code: end.code, message });
  }
  const head = encodeHead(callId);
  const value = end.json === undefined ? '' : `,"value":${end.json}`;
  return write(channel, encodeFrame(`${head}${value}}`));
}

function encodeHead(callId: string): string {
  return JSON.stringify({ type: 'result', callId }).slice(0, -1);
}

function send(channel: Duplex, message: WorkerMessage): Promise<void> {
  return write(channel, encode(message));
}

function encode(message: WorkerMessage): Buffer {
  return encodeFrame(JSON.stringify(message));
}

function write(channel: Duplex, frame: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.write(frame, (error) => (error ? reject(error) : resolve()));
  });
}
