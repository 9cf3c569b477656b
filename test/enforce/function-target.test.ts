import { expect, test } from 'vitest';
import { currentCall } from '../../src/enforce/current-call.ts';
import { type AnyFunction, bindArguments } from '../../src/enforce/function-target.ts';
import { encodeIJson } from '../../worker/i-json.ts';

const BOUNDS = { depthMax: 10, bytesMax: 10_000 };
const CALL = { callId: 'call-1', tool: 'tool', signal: new AbortController().signal };

/** Binds values, sends them as JSON, and calls the function with what arrived. */
function callThrough(fn: AnyFunction, values: readonly unknown[], params?: readonly string[]) {
  const { args, target } = bindArguments(fn, undefined, values, { tool: 'tool', params });
  const sent = JSON.parse(encodeIJson(args, 'args', BOUNDS));
  return { args, result: target.invoke(sent, CALL) };
}

const list = (...values: unknown[]) => values;

test('gives positional arguments their places', () => {
  expect(callThrough(list, [1, 'a', null]).result).toEqual([1, 'a', null]);
  expect(callThrough(list, [1, 'a'], ['count', 'name'])).toEqual({
    args: { count: 1, name: 'a' },
    result: [1, 'a'],
  });
});

test('keeps undefined, so that a default parameter holds', () => {
  const fn = (a: unknown, b = 'default', c: unknown = 'last') => [a, b, c];
  expect(callThrough(fn, [undefined, undefined, 3]).result).toEqual([undefined, 'default', 3]);
  expect(callThrough(fn, [1], ['a', 'b', 'c']).result).toEqual([1, 'default', 'last']);
  expect(callThrough(fn, [1, undefined], ['a', 'b', 'c']).result).toEqual([1, 'default', 'last']);
});

test('keeps the number of arguments', () => {
  expect(callThrough(list, []).result).toEqual([]);
  expect(callThrough(list, [undefined]).result).toEqual([undefined]);
});

test('names arguments beyond the named ones by their place', () => {
  expect(callThrough(list, [1, 2, 3], ['first']).args).toEqual({
    first: 1,
    'args[1]': 2,
    'args[2]': 3,
  });
});

test('gives the function what was sent, not what was passed', () => {
  const { target } = bindArguments(list, undefined, ['secret'], { tool: 'tool' });
  expect(target.invoke(['<EMAIL>'], CALL)).toEqual(['<EMAIL>']);
});

test('keeps `this`', () => {
  function times(this: unknown, n: number) {
    return (this as { factor: number }).factor * n;
  }
  const { target } = bindArguments(times as AnyFunction, { factor: 3 }, [2], { tool: 'tool' });
  expect(target.invoke([2], CALL)).toBe(6);
});

test('is known by the name of the function, or else of the tool', () => {
  const identity = (fn: AnyFunction) =>
    bindArguments(fn, undefined, [], { tool: 'named_by_tool' }).target.identity;
  expect(identity(list)).toEqual({ kind: 'function', path: 'list' });
  expect(
    identity(
      (
        () => () =>
          1
      )(),
    ),
  ).toEqual({ kind: 'function', path: 'named_by_tool' });
});

test('knows the call it runs for, also after it waited, and only there', async () => {
  const ask = async () => {
    await Promise.resolve();
    return currentCall();
  };
  expect(await callThrough(ask, []).result).toBe(CALL);
  expect(currentCall()).toBeUndefined();
});
