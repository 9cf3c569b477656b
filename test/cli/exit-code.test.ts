import { expect, test } from 'vitest';
import type { Failure, Outcome } from '../../src/call.ts';
import { exitCodeOf, exitCodeOfError } from '../../src/cli/exit-code.ts';
import {
  AuditError,
  CallDeniedError,
  EnforceError,
  type ErrorCode,
  PolicyError,
} from '../../src/errors.ts';

const ended = (status: Failure, code: ErrorCode = 'ENF_INTERNAL') =>
  ({ status, error: new CallDeniedError(code, 'm') }) as unknown as Outcome;

test.each<[Failure, number]>([
  ['tool-error', 1],
  ['crashed', 1],
  ['protocol-violation', 1],
  ['denied', 3],
  ['output-denied', 3],
  ['timeout', 4],
  ['cpu-limit', 4],
  ['out-of-memory', 4],
  ['output-too-large', 4],
  ['process-limit', 4],
  ['disk-limit', 4],
  ['killed', 4],
  ['isolation-unavailable', 5],
  ['audit-failed', 6],
  ['aborted', 130],
])('%s exits with %i', (status, code) => expect(exitCodeOf(ended(status))).toBe(code));

test('ok exits with 0', () => {
  expect(exitCodeOf({ status: 'ok', value: 1 } as Outcome)).toBe(0);
});

test.each<ErrorCode>(['ENF_CALL_TARGET', 'ENF_CALL_TOOL_NAME'])(
  'a denial that names something which cannot be run is wrong usage: %s',
  (code) => expect(exitCodeOf(ended('denied', code))).toBe(2),
);

test('an error before there is an outcome exits by its area', () => {
  expect(exitCodeOfError(new AuditError('ENF_AUDIT_OPEN', 'm'))).toBe(6);
  expect(exitCodeOfError(new PolicyError('ENF_POLICY_INVALID', 'm'))).toBe(2);
  expect(exitCodeOfError(new EnforceError('ENF_CLI_USAGE', 'm'))).toBe(2);
  expect(exitCodeOfError(new Error('ours'))).toBe(1);
});
