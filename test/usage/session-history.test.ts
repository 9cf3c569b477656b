import { expect, test } from 'vitest';
import { createSessionHistories } from '../../src/usage/index.ts';

const fold = (tool: string): string => tool.toLowerCase();

test('a running call is seen before it ends', () => {
  const histories = createSessionHistories(fold);
  histories.begin({ session: 's' }, 'Read_Secret', 5);
  expect(histories.of({ session: 's' }).tools.get('read_secret')).toEqual({ running: 1 });
});

test('a call that ended is remembered with its end, a refused one not at all', () => {
  const histories = createSessionHistories(fold);
  const context = { session: 's' };
  histories.begin(context, 'a', 0).ended({ at: 10, ok: true });
  histories.begin(context, 'a', 11).ended({ at: 20, ok: false });
  histories.begin(context, 'b', 12).refused();
  expect(histories.of(context).tools.get('a')).toEqual({ running: 0, ranAt: 20, succeededAt: 10 });
  expect(histories.of(context).tools.get('b')).toEqual({ running: 0 });
});

test('a call ends once', () => {
  const histories = createSessionHistories(fold);
  const call = histories.begin({}, 'a', 0);
  call.refused();
  call.ended({ at: 5, ok: true });
  expect(histories.of({}).tools.get('a')).toEqual({ running: 0 });
});

test('sessions, agents and tenants are apart, also when their names are chosen to collide', () => {
  const histories = createSessionHistories(fold);
  histories.begin({ agent: 'a","b', session: 's' }, 'x', 0);
  expect(histories.of({ agent: 'a', tenant: 'b', session: 's' }).tools.size).toBe(0);
  expect(histories.of({ session: 's' }).tools.size).toBe(0);
});

test('a session with too many tools says that it is incomplete', () => {
  const histories = createSessionHistories(fold);
  for (let index = 0; index < 1001; index++) histories.begin({}, `tool_${index}`, 0);
  expect(histories.of({}).complete).toBe(false);
});

test('a session beyond the bound is never mistaken for a clean one', () => {
  const histories = createSessionHistories(fold);
  for (let index = 0; index < 10_000; index++) histories.begin({ session: `s${index}` }, 'x', 0);
  histories.begin({ session: 'late' }, 'read_secret', 1).ended({ at: 2, ok: true });
  expect(histories.of({ session: 'late' }).complete).toBe(false);
  expect(histories.of({ session: 's1' }).complete).toBe(true);
});

test('a session that was silent for over a month makes room', () => {
  const histories = createSessionHistories(fold);
  for (let index = 0; index < 10_000; index++) {
    histories.begin({ session: `s${index}` }, 'x', 0).ended({ at: 1, ok: true });
  }
  const month = 32 * 24 * 3600 * 1000;
  histories.begin({ session: 'late' }, 'x', month).ended({ at: month, ok: true });
  expect(histories.of({ session: 'late' }).complete).toBe(true);
});
