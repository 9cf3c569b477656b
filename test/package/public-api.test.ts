import { expect, test } from 'vitest';
import { publicApi } from '../docs/public-api.ts';

// INVARIANT: within a major version lines are only added here, and optional members to what is there.
// `npx vitest run test/package/public-api.test.ts --update` records a change; CHANGELOG.md announces it.
test('the public API is the one that was announced', async () => {
  const lines = publicApi().map(({ signature }) => signature);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('./public-api.txt');
});

test('every export has a docstring', () => {
  const silent = publicApi().filter(({ docstring }) => docstring === '');
  expect(silent.map(({ name }) => name)).toEqual([]);
});
