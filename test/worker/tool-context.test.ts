import { expect, test } from 'vitest';
import { type ContextNotice, createContext } from '../../worker/tool-context.ts';

function openContext() {
  const said: ContextNotice[] = [];
  const { signal } = new AbortController();
  return { said, signal, ...createContext(signal, (notice) => said.push(notice)) };
}

test('passes notices on as they are said', () => {
  const { said, context } = openContext();
  context.log('a');
  context.progress(1, 2);
  expect(said).toEqual([
    { type: 'log', message: 'a' },
    { type: 'progress', done: 1, total: 2 },
  ]);
});

test('is silent once the call has ended', () => {
  const { said, context, end } = openContext();
  end();
  context.log('late');
  context.progress(1, 2);
  expect(said).toEqual([]);
});

test('gives the tool its signal and two functions, and no way to end the context', () => {
  const { context, signal } = openContext();
  expect(Object.keys(context).sort()).toEqual(['log', 'progress', 'signal']);
  expect(context.signal).toBe(signal);
});

test('throws at a tool whose progress is no number, so that it sees its mistake', () => {
  const { context } = openContext();
  expect(() => context.progress(Number.NaN, 1)).toThrow(TypeError);
});
