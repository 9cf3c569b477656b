import { check } from 'recheck';
import { expect, test } from 'vitest';
import { shippedPatterns } from './shipped-patterns.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const PATTERNS = shippedPatterns();

test('the scan of the sources sees the patterns', () => {
  expect(PATTERNS.length).toBeGreaterThan(250);
  expect(PATTERNS.map(({ where }) => where)).toContain('pii/phone.ts');
});

test.each(PATTERNS)('$where: /$source/$flags is a regular expression', ({ source, flags }) => {
  expect(() => new RegExp(source, flags)).not.toThrow();
});

test.runIf(ENFORCECORE_TEST_SLOW === '1').each(PATTERNS)(
  '$where: /$source/$flags runs in linear time, says recheck',
  async ({ source, flags }) => {
    Object.assign(process.env, { RECHECK_BACKEND: 'pure' });
    const { status } = await check(source, flags, { timeout: 60_000 });
    expect(status).toBe('safe');
  },
  120_000,
);
