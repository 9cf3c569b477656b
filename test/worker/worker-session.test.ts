import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  FrameDecoder,
  LOG_CHARS_MAX,
  type StartMessage,
  type WorkerMessage,
} from '../../worker/protocol.ts';
import { serveCalls } from '../../worker/worker-session.ts';
import { tool } from '../fixtures/job.ts';
import { eventually } from '../fixtures/observe.ts';

/** The supervisor's side of a session in this process. */
function openSession() {
  const [near, far] = duplexPair();
  const decoder = new FrameDecoder(2 ** 24);
  const received: WorkerMessage[] = [];
  const flushedAfter: number[] = [];
  near.on('data', (chunk: Buffer) => {
    for (const frame of decoder.push(chunk)) received.push(JSON.parse(frame) as WorkerMessage);
  });
  const served = serveCalls(far, async () => {
    flushedAfter.push(received.length);
  });
  const send = (message: object) => near.write(encodeFrame(JSON.stringify(message)));
  return { near, received, flushedAfter, served, send };
}

const start = (name: string, args: unknown = {}, more: Partial<StartMessage> = {}) => ({
  type: 'start',
  callId: 'call-1',
  tool: 'test_tool',
  module: tool(name),
  args,
  resultBytesMax: 10_000,
  ...more,
});

async function serve(...call: Parameters<typeof start>) {
  const session = openSession();
  session.send(start(...call));
  await session.served;
  await eventually(() => session.received.some(({ type }) => /result|failed/.test(type)));
  return session.received;
}

describe('serveCalls', () => {
  test('says it is ready before it is told anything', async () => {
    const { received, near } = openSession();
    await eventually(() => received.length > 0);
    expect(received).toEqual([{ type: 'ready' }]);
    near.destroy();
  });

  test('gives the value under the id of the call, after stdout and stderr were flushed', async () => {
    const session = openSession();
    session.send(start('add.mjs', { a: 1, b: 2 }));
    await session.served;
    await eventually(() => session.received.length === 2);
    expect(session.received[1]).toEqual({ type: 'result', callId: 'call-1', value: 3 });
    expect(session.flushedAfter).toEqual([1]);
  });

  test('leaves the value out when the tool returned nothing', async () => {
    const received = await serve('returns-undefined.mjs');
    expect(received[1]).toEqual({ type: 'result', callId: 'call-1' });
  });

  test('takes a start message that comes in pieces', async () => {
    const session = openSession();
    const frame = encodeFrame(JSON.stringify(start('echo-args.mjs', { text: 'é😀' })));
    for (const byte of frame) session.near.write(Buffer.from([byte]));
    await session.served;
    await eventually(() => session.received.length === 2);
    expect(session.received[1]).toMatchObject({ value: { text: 'é😀' } });
  });

  test.each([
    ['throws.mjs', {}, 'ENF_TOOL_FAILED', 'TypeError: no such page'],
    ['throws-oddly.mjs', {}, 'ENF_TOOL_FAILED', 'cannot be read'],
    ['missing-import.mjs', {}, 'ENF_TOOL_LOAD', 'does-not-exist'],
    ['no-function.mjs', {}, 'ENF_TOOL_EXPORT', 'no function'],
    ['returns-value.mjs', { kind: 'bigint' }, 'ENF_TOOL_RESULT', 'a bigint'],
    ['returns-value.mjs', { kind: 'large' }, 'ENF_LIMIT_OUTPUT', 'at most 10000 bytes'],
    ['throws-value.mjs', { kind: 'long' }, 'ENF_TOOL_FAILED', 'Error: xxx'],
    ['throws-value.mjs', { kind: 'surrogate' }, 'ENF_TOOL_FAILED', 'Error: \ufffd'],
    ['throws-value.mjs', { kind: 'string' }, 'ENF_TOOL_FAILED', 'just text'],
    ['throws-value.mjs', { kind: 'undefined' }, 'ENF_TOOL_FAILED', 'undefined'],
  ])('says why %s %o gave no value', async (name, args, code, message) => {
    const [, failed] = await serve(name, args);
    expect(failed).toMatchObject({ type: 'failed', callId: 'call-1', code });
    const text = (failed as { message: string }).message;
    expect(text).toContain(message);
    expect(text.length).toBeLessThanOrEqual(LOG_CHARS_MAX);
    expect(text.isWellFormed()).toBe(true);
  });

  test('passes an abort on to the signal of the tool', async () => {
    const session = openSession();
    session.send(start('abort-reason.mjs'));
    await eventually(() => session.received.some(({ type }) => type === 'log'));
    session.send({ type: 'abort', reason: 'enough' });
    await session.served;
    await eventually(() => session.received.length === 3);
    expect(session.received[2]).toMatchObject({ value: 'enough' });
  });

  test('keeps every notice within the protocol, whatever the tool gives', async () => {
    const received = await serve('odd-notices.mjs');
    const notices = received.slice(1, -1);
    expect(notices).toEqual([
      { type: 'log', callId: 'call-1', message: 'undefined' },
      { type: 'log', callId: 'call-1', message: '\ufffd' },
      { type: 'log', callId: 'call-1', message: `${'x'.repeat(LOG_CHARS_MAX - 1)}\ufffd` },
      { type: 'progress', callId: 'call-1', done: 0.5, total: 2 ** 53 - 1 },
    ]);
    expect(received.at(-1)).toMatchObject({ type: 'result', value: Array(7).fill('TypeError') });
  });

  test('says nothing after the result, though the tool goes on logging', async () => {
    const received = await serve('log-for-ever.mjs');
    for (let turn = 0; turn < 50; turn += 1) await setImmediate();
    expect(received.at(-1)).toMatchObject({ type: 'result', value: 'done' });
  });

  test('rejects when the supervisor hangs up before the start', async () => {
    const { near, served } = openSession();
    near.end();
    await expect(served).rejects.toThrow('hung up');
  });

  test('rejects when the channel breaks', async () => {
    const [near, far] = duplexPair();
    near.resume();
    const served = serveCalls(far, async () => {});
    far.destroy(new Error('EPIPE'));
    await expect(served).rejects.toThrow();
  });
});
