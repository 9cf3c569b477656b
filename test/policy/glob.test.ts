import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileGlob } from '../../src/policy/index.ts';

test.each([
  ['*', 'anything', true],
  ['fetch_*', 'fetch_page', true],
  ['fetch_*', 'fetch_', true],
  ['fetch_*', 'prefetch_page', false],
  ['*_page', 'fetch_page', true],
  ['*_page', 'fetch_pages', false],
  ['a*b*c', 'a-b-c', true],
  ['a*b*c', 'acb', false],
  ['a*a', 'a', false],
  ['a*ab', 'ab', false],
  ['ab*ba', 'aba', false],
  ['fetch.page', 'fetchxpage', false],
])('%s against %s: %s', (glob, name, expected) => {
  expect(compileGlob(glob)(name)).toBe(expected);
});

test('a glob means what the regular expression with .* means', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  const names = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
  fc.assert(
    fc.property(letters, names, (glob, name) => {
      const pattern = new RegExp(`^${glob.replaceAll('*', '.*')}$`);
      return compileGlob(glob)(name) === pattern.test(name);
    }),
    { numRuns: 2000 },
  );
});
