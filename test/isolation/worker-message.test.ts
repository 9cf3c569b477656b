import { expect, test } from 'vitest';
import {
  frameBytesMaxFor,
  parseWorkerMessage,
  WorkerMessageError,
} from '../../src/isolation/worker-message.ts';
import { LOG_CHARS_MAX, RESULT_DEPTH_MAX } from '../../worker/protocol.ts';

const MAX = 1_000_000;
const parse = (message: unknown) =>
  parseWorkerMessage(typeof message === 'string' ? message : JSON.stringify(message), MAX);
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

test.each([
  [{ type: 'ready' }],
  [{ type: 'refused', message: 'uid is 0' }],
  [{ type: 'log', callId: 'c', message: '' }],
  [{ type: 'progress', callId: 'c', done: 0, total: 0.5 }],
  [{ type: 'result', callId: 'c' }],
  [{ type: 'result', callId: 'c', value: null }],
  [{ type: 'result', callId: 'c', value: { constructor: { prototype: 1 } } }],
  [{ type: 'failed', callId: 'c', code: 'ENF_TOOL_FAILED', message: 'm' }],
])('takes %o', (message) => {
  expect(parse(message)).toEqual(message);
});

test('takes a result of exactly the deepest nesting', () => {
  const frame = (levels: number) => `{"type":"result","callId":"c","value":${nested(levels)}}`;
  expect(parse(frame(RESULT_DEPTH_MAX))).toMatchObject({ type: 'result' });
  expect(() => parse(frame(RESULT_DEPTH_MAX + 1))).toThrow('nest at most 201 levels');
});

test.each<[string, unknown]>([
  ['no object', 1],
  ['null', null],
  ['an array', [{ type: 'ready' }]],
  ['no type', { callId: 'c' }],
  ['an unknown type', { type: 'start' }],
  ['a type that every object has', { type: 'constructor' }],
  ['a type that is no text', { type: ['ready'] }],
  ['a field too many', { type: 'ready', value: 1 }],
  ['a field missing', { type: 'log', callId: 'c' }],
  ['a long call id', { type: 'result', callId: 'c'.repeat(65), value: 1 }],
  ['a long log line', { type: 'log', callId: 'c', message: 'x'.repeat(LOG_CHARS_MAX + 1) }],
  ['a negative progress', { type: 'progress', callId: 'c', done: -1, total: 1 }],
  ['a progress that is null', { type: 'progress', callId: 'c', done: null, total: 1 }],
  [
    'a code that no tool may use',
    { type: 'failed', callId: 'c', code: 'ENF_AUDIT_WRITE', message: '' },
  ],
  ['a code that does not exist', { type: 'failed', callId: 'c', code: 'toString', message: '' }],
  ['no JSON', '{"type":'],
  ['two messages', '{"type":"ready"}{"type":"ready"}'],
  ['a duplicate key', '{"type":"ready","type":"ready"}'],
  ['a hidden duplicate key', '{"type":"result","callId":"c","value":1,"v\\u0061lue":2}'],
  ['`__proto__`', '{"type":"result","callId":"c","value":{"__proto__":{"a":1}}}'],
  ['a number beyond 2^53-1', '{"type":"result","callId":"c","value":9007199254740993}'],
  ['a lone surrogate', '{"type":"log","callId":"c","message":"\\ud800"}'],
])('refuses %s', (_kind, message) => {
  expect(() => parse(message)).toThrow(WorkerMessageError);
});

test('refuses a frame beyond its bound', () => {
  const frame = JSON.stringify({ type: 'result', callId: 'c', value: 'é'.repeat(50) });
  expect(() => parseWorkerMessage(frame, Buffer.byteLength(frame) - 1)).toThrow('at most');
  expect(parseWorkerMessage(frame, Buffer.byteLength(frame))).toMatchObject({ type: 'result' });
});

test('never quotes the frame', () => {
  for (const frame of ['{"secret":1}', '{"secret" 1}', '{"type":"secret"}', '["secret', 'secret']) {
    expect(() => parse(frame)).not.toThrow('secret');
    expect(() => parse(frame)).toThrow(WorkerMessageError);
  }
});

test('leaves room around a result of the largest size', () => {
  expect(frameBytesMaxFor(1000)).toBe(1000 + 65_536);
});
