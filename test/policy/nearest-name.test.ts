import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nearestName } from '../../src/policy/nearest-name.ts';

const KEYS = ['name', 'allowed_tools', 'denied_tools', 'resource_limits', 'network', 'audit'];

test.each([
  ['allowed_tool', 'allowed_tools'],
  ['allowedTools', 'allowed_tools'],
  ['ALLOWED-TOOLS', 'allowed_tools'],
  ['netwrok', 'network'],
  ['nmae', 'name'],
  ['resourcelimits', 'resource_limits'],
])('%s means %s', (name, expected) => {
  expect(nearestName(name, KEYS)).toBe(expected);
});

test.each(['zzz', 'q', '', 'completely_different', '😀'.repeat(1000)])(
  '%j means nothing',
  (name) => {
    expect(nearestName(name, KEYS)).toBeUndefined();
  },
);

test('a valid name means itself', () => {
  fc.assert(fc.property(fc.constantFrom(...KEYS), (key) => nearestName(key, KEYS) === key));
});
