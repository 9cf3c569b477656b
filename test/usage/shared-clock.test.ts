import fc from 'fast-check';
import { expect, test } from 'vitest';
import { advanceTime, readClock, START_OF_TIME } from '../../src/usage/shared-clock.ts';

const boot = 'b1';

test('follows the wall clock where nothing was read before', () => {
  expect(advanceTime(START_OF_TIME, { wallMs: 50, steadyMs: 7, boot })).toEqual({
    now: 50,
    steadyMs: 7,
    boot,
  });
});

test('goes on by the steady clock when the wall clock was set back', () => {
  const last = { now: 1_000_000, steadyMs: 500, boot };
  expect(advanceTime(last, { wallMs: 5, steadyMs: 800, boot }).now).toBe(1_000_300);
});

test('counts the time for which the host slept', () => {
  const last = { now: 1_000_000, steadyMs: 500, boot };
  expect(advanceTime(last, { wallMs: 9_000_000, steadyMs: 501, boot }).now).toBe(9_000_000);
});

test.each([
  ['another boot', 'b2'],
  ['an unknown one', null],
])('does not compare the steady clock of %s', (_, other) => {
  const last = { now: 1_000_000, steadyMs: 500, boot };
  expect(advanceTime(last, { wallMs: 5, steadyMs: 900_000, boot: other }).now).toBe(1_000_000);
});

test('never goes back, whatever the clocks say', () => {
  const reading = fc.record({
    wallMs: fc.nat(),
    steadyMs: fc.nat(),
    boot: fc.option(fc.constantFrom('a', 'b')),
  });
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      let time = START_OF_TIME;
      for (const each of readings) {
        const next = advanceTime(time, each);
        expect(next.now).toBeGreaterThanOrEqual(time.now);
        time = next;
      }
    }),
  );
});

test('reads the clocks of this host', () => {
  const first = readClock();
  const second = readClock();
  expect(second.boot).toBe(first.boot);
  expect(second.steadyMs).toBeGreaterThanOrEqual(first.steadyMs);
  expect(Math.abs(first.wallMs - Date.now())).toBeLessThan(60_000);
});
