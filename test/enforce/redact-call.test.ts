import { describe, expect, test } from 'vitest';
import type { IdentifiedCall } from '../../src/enforce/identify.ts';
import {
  addCounts,
  isTooLarge,
  jsonOf,
  redactArguments,
  redactOutput,
} from '../../src/enforce/redact-call.ts';
import type { ToolRules } from '../../src/gate/index.ts';
import { emptyReport } from '../../src/isolation/runner.ts';
import { createRedactor, type Redactor } from '../../src/redaction/index.ts';
import { confinement } from '../fixtures/job.ts';

const LIMITS = confinement({ outputBytes: 100 }).limits;
const RULES = { redactOutput: true, argumentKinds: {} } as ToolRules;
const redactor = createRedactor({ pii_redaction: { enabled: true } });

describe('isTooLarge', () => {
  test.each<[string, unknown, boolean]>([
    ['nothing', undefined, false],
    ['a text at the limit', 'x'.repeat(98), false],
    ['a text beyond it', 'x'.repeat(99), true],
    ['a BigInt', 1n, false],
    ['a small Map', new Map([[1, 2]]), false],
    ['a large Map', new Map(Array.from({ length: 100 }, (_, n) => [n, n])), true],
    ['a large Set', new Set(Array.from({ length: 100 }, (_, n) => n)), true],
    ['bytes', new Uint8Array(500), true],
    ['NaN', Number.NaN, false],
  ])('measures what a function returned: %s', (_kind, value, expected) => {
    expect(isTooLarge(value, 'none', LIMITS)).toBe(expected);
  });

  test('measures a cycle', () => {
    const cycle: Record<string, unknown> = { text: 'x'.repeat(200) };
    cycle['self'] = cycle;
    expect(isTooLarge(cycle, 'none', LIMITS)).toBe(true);
  });

  test('measures nothing where there is no limit', () => {
    expect(
      isTooLarge('x'.repeat(1000), 'process', confinement({ outputBytes: Infinity }).limits),
    ).toBe(false);
  });
});

test('jsonOf is null for what JSON cannot hold', () => {
  expect(jsonOf(new Map(), 'none')).toBeNull();
  expect(jsonOf({ a: 1 }, 'none')).toBe('{"a":1}');
  expect(jsonOf(undefined, 'process')).toBeNull();
  expect(jsonOf([1], 'process')).toBe('[1]');
});

const broken = (cause: unknown): Redactor => ({
  ...redactor,
  redact: () => {
    throw cause;
  },
  redactText: () => {
    throw cause;
  },
});

test('a fault of the redactor itself is let through, and what it refuses is a refusal', () => {
  const call = { argsJson: '{}', args: {} } as unknown as IdentifiedCall;
  expect(() => redactArguments(call, broken(new TypeError('bug')), RULES)).toThrow('bug');
  const report = emptyReport({ status: 'ok', value: 1 });
  expect(() => redactOutput(report, broken(new TypeError('bug')), RULES)).toThrow('bug');
});

test('a message of the tool is redacted first and cut then', () => {
  const long = `${'x'.repeat(4090)} ann@example.com`;
  const end = { status: 'tool-error', code: 'ENF_TOOL_FAILED', message: long } as const;
  const { end: redacted } = redactOutput(emptyReport(end), redactor, RULES);
  const { message } = redacted as { message: string };
  expect(message.length).toBeLessThanOrEqual(4096);
  expect(message).not.toContain('ann');
  expect(message).toMatch(/x <EMAI?L?/);
});

test('where output is not redacted it is still cut', () => {
  const end = {
    status: 'tool-error',
    code: 'ENF_TOOL_FAILED',
    message: '😀'.repeat(3000),
  } as const;
  const out = redactOutput(emptyReport(end), redactor, { ...RULES, redactOutput: false });
  const { message } = out.end as { message: string };
  expect(message.length).toBeLessThanOrEqual(4096);
  expect(message.isWellFormed()).toBe(true);
});

test('counts of parts add up', () => {
  expect(addCounts({ a: 1 }, {}, { a: 2, b: 1 })).toEqual({ a: 3, b: 1 });
});
