import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';
import { classifyExit, commandEnd, limitEnd, stopEnd } from '../../src/isolation/run-end.ts';
import { confinement } from '../fixtures/job.ts';

const HEAP = 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory';
const GONE = { code: null, signal: null, stderr: '', isTruncated: false };

describe('classifyExit', () => {
  test.each([
    [
      'a full heap, by SIGABRT',
      { signal: 'SIGABRT', stderr: `<--- GCs --->\n${HEAP}` },
      'out-of-memory',
    ],
    ['a full heap, by SIGTRAP', { signal: 'SIGTRAP', stderr: HEAP }, 'out-of-memory'],
    ['those words, but an exit', { code: 1, stderr: HEAP }, 'crashed'],
    ['those words, but another signal', { signal: 'SIGSEGV', stderr: HEAP }, 'crashed'],
    ['an abort without those words', { signal: 'SIGABRT', stderr: 'assertion failed' }, 'crashed'],
    ['half a message and an exit', { code: 0, isTruncated: true }, 'protocol-violation'],
    ['half a message and a signal', { signal: 'SIGSEGV', isTruncated: true }, 'crashed'],
    ['an exit with code 0', { code: 0 }, 'crashed'],
    ['nothing that is known', {}, 'crashed'],
  ])('calls %s by its name', (_kind, evidence, status) => {
    expect(classifyExit({ ...GONE, ...evidence }).status).toBe(status);
  });

  test.each([
    [{ code: 7 }, 'the worker exited with code 7 before it gave a result'],
    [{}, 'the worker exited with code unknown before it gave a result'],
    [{ signal: 'SIGSYS' }, 'the worker was ended by SIGSYS before it gave a result'],
  ])('says how: %o', (evidence, message) => {
    expect(classifyExit({ ...GONE, ...evidence })).toMatchObject({ message });
  });

  test('reads a hostile stderr in time linear in its length', () => {
    const msFor = (times: number) => {
      const stderr = 'FATAL ERROR: '.repeat(times);
      const began = performance.now();
      classifyExit({ ...GONE, signal: 'SIGABRT', stderr });
      return performance.now() - began;
    };
    msFor(1000);
    expect(msFor(160_000)).toBeLessThan(100 * Math.max(msFor(10_000), 1));
  });
});

describe('commandEnd', () => {
  test.each([
    ['{"a":[1]}\n', { a: [1] }],
    [' 12 ', 12],
    ['null', null],
    ['"text"', 'text'],
    ['', ''],
    ['\n', ''],
    ['two words\n', 'two words'],
    ['line\r\n', 'line'],
    ['two\nlines\n\n', 'two\nlines\n'],
    ['{"a":1} {"b":2}', '{"a":1} {"b":2}'],
    ['{"a":1,"a":2}', '{"a":1,"a":2}'],
    ['{"__proto__":1}', '{"__proto__":1}'],
    ['9007199254740993', '9007199254740993'],
    ['NaN', 'NaN'],
    ['['.repeat(201), '['.repeat(201)],
  ])('takes %j as the result %j', (stdout, value) => {
    expect(commandEnd(0, stdout, 1000)).toEqual({ status: 'ok', value });
  });

  test('takes any other exit code as the error of the tool', () => {
    expect(commandEnd(137, '{"a":1}', 1000)).toEqual({
      status: 'tool-error',
      code: 'ENF_TOOL_FAILED',
      message: 'the command exited with code 137',
    });
  });
});

const LIMITS = confinement({
  wallMs: 1500,
  cpuMs: 250,
  memoryBytes: 1.5 * 2 ** 20,
  outputBytes: 10,
  processesMax: 3,
  diskBytes: 2 ** 20,
}).limits;

test.each([
  ['wall', 'timeout', 'ENF_LIMIT_WALL', 'the call ran longer than 1.5 s'],
  ['cpu', 'cpu-limit', 'ENF_LIMIT_CPU', 'the tool used more than 0.25 s of CPU time'],
  ['memory', 'out-of-memory', 'ENF_LIMIT_MEMORY', 'the tool used more than 1.5 MB of memory'],
  ['output', 'output-too-large', 'ENF_LIMIT_OUTPUT', 'the tool gave more than 10 bytes of output'],
  ['processes', 'process-limit', 'ENF_LIMIT_PROCESSES', 'the tool started more than 3 processes'],
  ['disk', 'disk-limit', 'ENF_LIMIT_DISK', 'the tool wrote more than 1 MB'],
] as const)('names the limit %s and its value', (limit, status, code, message) => {
  expect(limitEnd(limit, LIMITS)).toEqual({ status, code, limit, message });
  expect(Object.keys(ERROR_CODES)).toContain(code);
});

test('tells a kill from an abort', () => {
  expect(stopEnd({ status: 'killed', message: 'm' })).toMatchObject({ code: 'ENF_CALL_KILLED' });
  expect(stopEnd({ status: 'aborted', message: 'm' })).toMatchObject({ code: 'ENF_CALL_ABORTED' });
});
