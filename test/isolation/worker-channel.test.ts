import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CallListener, WorkerChannel } from '../../src/isolation/worker-channel.ts';
import { encodeFrame, FrameDecoder } from '../../worker/protocol.ts';
import { eventually } from '../fixtures/observe.ts';

type Event = readonly [string, ...unknown[]];

/** A channel of this process, and the worker's end of it. */
function openChannel(outputBytesMax = 1000) {
  const [near, far] = duplexPair();
  const events: Event[] = [];
  const call: CallListener = {
    log: (message) => events.push(['log', message]),
    progress: (done, total) => events.push(['progress', done, total]),
    fetch: (message) => events.push([message.type, message.id]),
    overflow: () => events.push(['overflow']),
    result: (value) => events.push(['result', value]),
    failed: (code, message) => events.push(['failed', code, message]),
  };
  const channel: WorkerChannel = new WorkerChannel(near, outputBytesMax, {
    ready: () => {
      events.push(['ready']);
      channel.serve('mine', call);
    },
    refused: (message) => events.push(['refused', message]),
    violation: (what) => events.push(['violation', what]),
  });
  const say = (...messages: readonly object[]) =>
    far.write(Buffer.concat(messages.map((message) => encodeFrame(JSON.stringify(message)))));
  return { channel, near, far, events, say };
}

const READY = { type: 'ready' };
const RESULT = { type: 'result', callId: 'mine', value: 1 };
const log = (message: string) => ({ type: 'log', callId: 'mine', message });

/** What a supervisor hears of these messages. */
async function heard(...messages: readonly object[]): Promise<readonly Event[]> {
  const { events, say, far } = openChannel();
  say(...messages);
  far.end();
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  return events;
}

describe('the order of messages', () => {
  test('is ready, notices, one end', async () => {
    const progress = { type: 'progress', callId: 'mine', done: 1, total: 2 };
    expect(await heard(READY, log('a'), progress, RESULT)).toEqual([
      ['ready'],
      ['log', 'a'],
      ['progress', 1, 2],
      ['result', 1],
    ]);
  });

  test('may end in a failure, or before it began', async () => {
    const failed = { type: 'failed', callId: 'mine', code: 'ENF_TOOL_LOAD', message: 'm' };
    expect(await heard(READY, failed)).toEqual([['ready'], ['failed', 'ENF_TOOL_LOAD', 'm']]);
    expect(await heard({ type: 'refused', message: 'uid' })).toEqual([['refused', 'uid']]);
  });

  test.each<[string, readonly object[], string]>([
    ['a result before ready', [RESULT], 'a message before it was ready'],
    ['a log line before ready', [log('x')], 'a message before it was ready'],
    ['ready twice', [READY, READY], '`ready` after it was ready'],
    ['refused after ready', [READY, { type: 'refused', message: '' }], '`refused` after'],
    ['two results', [READY, RESULT, RESULT], 'a message after its result'],
    ['a log line after the result', [READY, RESULT, log('x')], 'a message after its result'],
    ['a result for another call', [READY, { ...RESULT, callId: 'yours' }], 'another call'],
    ['a log line for another call', [READY, { ...log('x'), callId: '' }], 'another call'],
    ['something after refused', [{ type: 'refused', message: '' }, READY], 'after its result'],
  ])('is broken by %s', async (_kind, messages, what) => {
    const events = await heard(...messages);
    expect(events.at(-1)?.[0]).toBe('violation');
    expect(events.at(-1)?.[1]).toContain(`the worker sent `);
    expect(events.at(-1)?.[1]).toContain(what);
  });
});

test('reads nothing more after a violation', async () => {
  const { near, far, events, say } = openChannel();
  say(READY, { type: 'nonsense' }, RESULT);
  await eventually(() => events.length > 1);
  for (let n = 0; n < 100; n += 1) far.write(Buffer.alloc(1000));
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  expect(events.map(([kind]) => kind)).toEqual(['ready', 'violation']);
  expect(near.isPaused()).toBe(true);
});

test('hears the same of any message, however its bytes are cut', async () => {
  const messages = [READY, log('é😀'), RESULT];
  const bytes = Buffer.concat(messages.map((each) => encodeFrame(JSON.stringify(each))));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (places) => {
      const { far, events } = openChannel();
      let from = 0;
      for (const at of [...places.sort((a, b) => a - b), bytes.length]) {
        if (at > from) far.write(bytes.subarray(from, at));
        from = Math.max(from, at);
      }
      await eventually(() => events.length >= 3);
      expect(events).toEqual([['ready'], ['log', 'é😀'], ['result', 1]]);
    }),
    { numRuns: 50 },
  );
});

test('never does more than call back, whatever bytes it is sent', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 4, maxLength: 200 }), async (bytes) => {
      const { far, events } = openChannel();
      far.end(Buffer.from(bytes));
      for (let turn = 0; turn < 3; turn += 1) await setImmediate();
      expect(events.every(([kind]) => kind === 'violation' || kind === 'ready')).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('takes ten thousand notices and refuses the next', async () => {
  const { events, say } = openChannel(10 ** 6);
  say(READY, ...Array.from({ length: 10_001 }, () => log('x')));
  await eventually(() => events.at(-1)?.[0] === 'violation');
  expect(events.filter(([kind]) => kind === 'log')).toHaveLength(10_000);
  expect(events.at(-1)?.[1]).toContain('more log and progress messages than allowed');
});

test('passes no more log text on than a call may print', async () => {
  const { events, say } = openChannel(10);
  say(READY, log('éééé'), log('ab'), log('c'), log('d'));
  await eventually(() => events.length === 5);
  expect(events.slice(1)).toEqual([['log', 'éééé'], ['log', 'ab'], ['overflow'], ['overflow']]);
});

test('knows that the stream ended in the middle of a message', async () => {
  const { channel, far } = openChannel();
  expect(channel.isTruncated).toBe(false);
  far.write(Buffer.from([0, 0, 0, 9, 1]));
  await eventually(() => channel.isTruncated);
});

test('sends frames', async () => {
  const { channel, far } = openChannel();
  const decoder = new FrameDecoder(1000);
  const frames: string[] = [];
  far.on('data', (chunk: Buffer) => frames.push(...decoder.push(chunk)));
  channel.send({ type: 'abort', reason: 'é' });
  channel.sendText('{"raw":1}');
  await eventually(() => frames.length === 2);
  expect(frames).toEqual(['{"type":"abort","reason":"é"}', '{"raw":1}']);
});

test('does not write to a stream that is closed', async () => {
  const { channel, near } = openChannel();
  near.end();
  expect(() => channel.send({ type: 'abort', reason: 'late' })).not.toThrow();
});

describe('a worker that asks for requests', () => {
  const ask = {
    type: 'fetch',
    callId: 'mine',
    id: 1,
    request: { method: 'GET', url: 'http://a.test/', headers: [['a', 'b']] },
  };

  test('is heard, as often as it asks', async () => {
    const data = { type: 'fetch-data', callId: 'mine', id: 1, data: 'YQ==' };
    const rest = ['fetch-pull', 'fetch-end', 'fetch-cancel'].map((type) => ({
      type,
      callId: 'mine',
      id: 1,
    }));
    expect(await heard(READY, ask, data, ...rest)).toEqual([
      ['ready'],
      ['fetch', 1],
      ['fetch-data', 1],
      ['fetch-pull', 1],
      ['fetch-end', 1],
      ['fetch-cancel', 1],
    ]);
  });

  test.each<[string, object]>([
    ['no id', { ...ask, id: undefined }],
    ['an id of zero', { ...ask, id: 0 }],
    ['an id beyond all requests', { ...ask, id: 4097 }],
    ['half an id', { ...ask, id: 1.5 }],
    ['another call', { ...ask, callId: 'yours' }],
    ['a header without a value', { ...ask, request: { ...ask.request, headers: [['a']] } }],
    ['a header that is a number', { ...ask, request: { ...ask.request, headers: [['a', 1]] } }],
    ['a body that is text', { ...ask, request: { ...ask.request, body: 'x' } }],
    ['a length that is text', { ...ask, request: { ...ask.request, body: { bytes: '1' } } }],
    ['a socket path', { ...ask, request: { ...ask.request, socketPath: '/run/docker.sock' } }],
    ['a piece without data', { type: 'fetch-data', callId: 'mine', id: 1, data: '' }],
    [
      'a piece that is too large',
      { type: 'fetch-data', callId: 'mine', id: 1, data: 'A'.repeat(43_693) },
    ],
    ['an answer of its own', { type: 'fetch-response', callId: 'mine', id: 1, status: 200 }],
  ])('breaks the protocol with %s', async (_kind, message) => {
    const { events, say } = openChannel(10 ** 6);
    say(READY, message);
    await eventually(() => events.length > 1);
    expect(events.at(-1)?.[0]).toBe('violation');
  });

  test('breaks it after its result, and before it was ready', async () => {
    expect((await heard(READY, RESULT, ask)).at(-1)?.[0]).toBe('violation');
    expect((await heard(ask)).at(-1)?.[0]).toBe('violation');
  });

  test('is not read on while it leaves more unread than a little', async () => {
    const { channel, near, far, events, say } = openChannel();
    say(READY);
    await eventually(() => events.length === 1);
    const reply = { type: 'fetch-data', id: 1, data: 'x'.repeat(40_000) } as const;
    for (let n = 0; n < 20; n += 1) channel.send(reply);
    expect(near.isPaused()).toBe(true);
    say(log('not heard yet'));
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    expect(events).toEqual([['ready']]);
    far.resume();
    await eventually(() => events.length === 2);
    expect(events[1]).toEqual(['log', 'not heard yet']);
  });

  test('stays unread after a violation, whatever it reads then', async () => {
    const { channel, near, far, events, say } = openChannel();
    say(READY, { type: 'nonsense' });
    await eventually(() => events.length === 2);
    const reply = { type: 'fetch-data', id: 1, data: 'x'.repeat(40_000) } as const;
    for (let n = 0; n < 20; n += 1) channel.send(reply);
    far.resume();
    for (let turn = 0; turn < 50; turn += 1) await setImmediate();
    expect(near.isPaused()).toBe(true);
  });
});
