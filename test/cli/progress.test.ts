import { expect, test } from 'vitest';
import { startProgress } from '../../src/cli/progress.ts';

function bar(isErrTerminal = true) {
  let text = '';
  let now = 0;
  const progress = startProgress(
    {
      err: (more) => {
        text += more;
      },
      isErrTerminal,
    },
    { label: 'verify', clock: () => now },
  );
  return {
    ...progress,
    at: (ms: number) => {
      now = ms;
    },
    taken: () => {
      const taken = text;
      text = '';
      return taken;
    },
  };
}

test('shows nothing where stderr is no terminal', () => {
  const { update, clear, at, taken } = bar(false);
  at(10_000);
  update(1, 2);
  clear();
  expect(taken()).toBe('');
});

test('shows nothing for what ends within half a second', () => {
  const { update, clear, at, taken } = bar();
  at(499);
  update(99, 100);
  clear();
  expect(taken()).toBe('');
});

test('shows share and remaining time on one line, at most ten times a second', () => {
  const { update, at, taken } = bar();
  at(1000);
  update(1, 4);
  expect(taken()).toBe(`\r\u001b[Kverify [#######.......................]  25 %, 3 s left`);
  at(1099);
  update(2, 4);
  expect(taken()).toBe('');
  at(1100);
  update(4, 4);
  expect(taken()).toBe(`\r\u001b[Kverify [${'#'.repeat(30)}] 100 %`);
});

test('counts where the end is not known, and never shows more than all', () => {
  const { update, at, taken } = bar();
  at(2000);
  update(7);
  expect(taken()).toContain('verify 7 in 2 s');
  at(3000);
  update(9, 4);
  expect(taken()).toContain('100 %');
});

test('removes its line once', () => {
  const { update, clear, at, taken } = bar();
  at(600);
  update(1, 2);
  taken();
  clear();
  clear();
  expect(taken()).toBe('\r\u001b[K');
});
