import { expect, test } from 'vitest';
import type { Failure, Outcome } from '../../src/call.ts';
import { auditFailure, denial, failure, unwrap } from '../../src/enforce/outcome.ts';
import {
  AuditError,
  CallDeniedError,
  EnforceError,
  IsolationUnavailableError,
  isEnforceError,
  LimitExceededError,
  ToolError,
  WorkerError,
} from '../../src/errors.ts';

test.each<[Failure, typeof EnforceError]>([
  ['denied', CallDeniedError],
  ['output-denied', CallDeniedError],
  ['timeout', LimitExceededError],
  ['cpu-limit', LimitExceededError],
  ['out-of-memory', LimitExceededError],
  ['output-too-large', LimitExceededError],
  ['process-limit', LimitExceededError],
  ['disk-limit', LimitExceededError],
  ['killed', LimitExceededError],
  ['aborted', LimitExceededError],
  ['tool-error', ToolError],
  ['crashed', WorkerError],
  ['protocol-violation', WorkerError],
  ['isolation-unavailable', IsolationUnavailableError],
  ['audit-failed', AuditError],
])('%s carries its own class of error', (status, ErrorClass) => {
  const cause = new Error('why');
  const end = failure(status, 'ENF_INTERNAL', 'message', { cause, details: { a: 1 } });
  const { error } = end as { error: EnforceError };
  expect(error).toBeInstanceOf(ErrorClass);
  expect(error).toBeInstanceOf(EnforceError);
  expect(isEnforceError(error)).toBe(true);
  expect(error).toMatchObject({ name: ErrorClass.name, code: 'ENF_INTERNAL', details: { a: 1 } });
  expect(error.cause).toBe(cause);
  expect(end).not.toHaveProperty('limit');
});

test('an error prints as data, without stack and cause', () => {
  const end = failure('timeout', 'ENF_LIMIT_WALL', 'm', { cause: new Error('x'), limit: 'wall' });
  expect(end).toMatchObject({ limit: 'wall' });
  expect(JSON.parse(JSON.stringify((end as { error: EnforceError }).error))).toEqual({
    name: 'LimitExceededError',
    code: 'ENF_LIMIT_WALL',
    message: 'm',
    details: {},
  });
});

test('a denial speaks with its first reason and keeps all', () => {
  const reasons = [
    { rule: 'a', code: 'ENF_DENIED_TOOL', message: 'first' },
    { rule: 'b', code: 'ENF_DENIED_RATE', message: 'second' },
  ] as const;
  const { error } = denial('denied', 'tool', reasons, { retryAfterMs: 5 }) as {
    error: EnforceError;
  };
  expect(error).toMatchObject({ code: 'ENF_DENIED_TOOL', message: 'tool `tool`: first' });
  expect(error.details).toEqual({ reasons, retryAfterMs: 5 });
});

test('a denial without a reason is still one', () => {
  const end = denial('denied', 'x'.repeat(1000), []);
  expect(end).toMatchObject({ error: { code: 'ENF_DENIED_RULE_FAILED' } });
});

test('a failure of the trail says whether the tool ran', () => {
  const cause = new AuditError('ENF_AUDIT_LOCK', 'locked');
  const before = auditFailure('t', cause, false) as { error: EnforceError };
  expect(before.error).toMatchObject({ code: 'ENF_AUDIT_LOCK', details: { didRun: false } });
  expect(before.error.message).toBe('tool `t`: the tool did not run: locked');
  const after = auditFailure('t', new Error('secret'), true) as { error: EnforceError };
  expect(after.error).toMatchObject({ code: 'ENF_AUDIT_WRITE', details: { didRun: true } });
  expect(after.error.message).not.toContain('secret');
});

test('unwrap gives the value or throws the very error', () => {
  expect(unwrap({ status: 'ok', value: 1 } as Outcome<number>)).toBe(1);
  const error = new ToolError('ENF_TOOL_FAILED', 'm');
  expect(() => unwrap({ status: 'tool-error', error } as Outcome)).toThrow(error);
});
