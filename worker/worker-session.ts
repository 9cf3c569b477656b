import { once } from 'node:events';
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

/** The supervisor is trusted: this bound only keeps a broken pipe from filling the heap. */
const SUPERVISOR_FRAME_BYTES_MAX = 2 ** 31;

/**
 * One call on one channel: says it is ready, waits for `start`, runs the tool, sends its end.
 *
 * @param channel - descriptor 3 as a stream
 * @param flush - resolves when stdout and stderr reached the pipe, so that no output follows the result
 * @returns when the last message is written, and where requests were brokered, when the supervisor
 *   has hung up. Rejects when the supervisor hung up before the end
 */
export async function serveOneCall(channel: Duplex, flush: () => Promise<void>): Promise<void> {
  const inbox = receive(channel);
  await send(channel, { type: 'ready' });
  const start = await inbox.start;
  const { callId } = start;
  const endFetch = start.brokersFetch === true ? await openFetch(channel, callId, inbox) : null;
  const { context, end: endContext } = createContext(inbox.abort.signal, (notice) => {
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
  if (endFetch !== null) await once(channel, 'close');
}

/** Says that this worker is not confined as it was asked for, instead of being ready. */
export function refuse(channel: Duplex, message: string): Promise<void> {
  return send(channel, { type: 'refused', message });
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

interface Inbox {
  readonly start: Promise<StartMessage>;
  readonly abort: AbortController;
  onFetchReply: (reply: FetchReply) => void;
}

function receive(channel: Duplex): Inbox {
  const decoder = new FrameDecoder(SUPERVISOR_FRAME_BYTES_MAX);
  const inbox = { abort: new AbortController(), onFetchReply: (_reply: FetchReply): void => {} };
  const start = new Promise<StartMessage>((resolve, reject) => {
    channel.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        const message = JSON.parse(frame) as SupervisorMessage;
        if (message.type === 'start') resolve(message);
        else if (message.type === 'abort') inbox.abort.abort(new Error(message.reason));
        else inbox.onFetchReply(message);
      }
    });
    channel.on('error', reject);
    channel.on('end', () => reject(new Error('the supervisor hung up')));
  });
  return Object.assign(inbox, { start });
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
