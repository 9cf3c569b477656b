import type { Failure, LimitKind, Outcome, Reason } from '../call.ts';
import {
  AuditError,
  CallDeniedError,
  type EnforceError,
  type EnforceErrorOptions,
  type ErrorCode,
  IsolationUnavailableError,
  isEnforceError,
  LimitExceededError,
  ToolError,
  WorkerError,
} from '../errors.ts';

/** How a call ended, as its outcome will say. */
export type FinalEnd =
  | { readonly status: 'ok'; readonly value: unknown }
  | { readonly status: Failure; readonly error: EnforceError; readonly limit?: LimitKind };

const ERROR_CLASSES: Readonly<Record<Failure, typeof EnforceError>> = {
  denied: CallDeniedError,
  'output-denied': CallDeniedError,
  timeout: LimitExceededError,
  'cpu-limit': LimitExceededError,
  'out-of-memory': LimitExceededError,
  'output-too-large': LimitExceededError,
  'process-limit': LimitExceededError,
  'disk-limit': LimitExceededError,
  killed: LimitExceededError,
  aborted: LimitExceededError,
  'tool-error': ToolError,
  crashed: WorkerError,
  'protocol-violation': WorkerError,
  'isolation-unavailable': IsolationUnavailableError,
  'audit-failed': AuditError,
};

/** A failed end with the error class that belongs to its status. */
export function failure(
  status: Failure,
  code: ErrorCode,
  message: string,
  options: EnforceErrorOptions & { readonly limit?: LimitKind | undefined } = {},
): FinalEnd {
  const { limit, ...rest } = options;
  const error = new ERROR_CLASSES[status](code, message, rest);
  return { status, error, ...(limit === undefined ? {} : { limit }) };
}

/** The end of a denied call: the first reason speaks, all are in `details.reasons`. */
export function denial(
  status: 'denied' | 'output-denied',
  tool: string,
  reasons: readonly Reason[],
  details: { readonly retryAfterMs?: number } = {},
): FinalEnd {
  const [first] = reasons;
  const about = `tool \`${tool.slice(0, 256)}\``;
  const why = first?.message ?? 'denied';
  const message = why.startsWith(about) ? why : `${about}: ${why}`;
  const code = first?.code ?? 'ENF_DENIED_RULE_FAILED';
  return failure(status, code, message, { details: { ...details, reasons } });
}

/** The end of a call whose entry could not be written: nothing ran, or its value is withheld. */
export function auditFailure(tool: string, cause: unknown, didRun: boolean): FinalEnd {
  const why = isEnforceError(cause) ? cause.message : 'the audit trail failed';
  const what = didRun ? 'the tool did run, but not all of it is recorded' : 'the tool did not run';
  const code = isEnforceError(cause) ? cause.code : 'ENF_AUDIT_WRITE';
  const details = { didRun };
  return failure('audit-failed', code, `tool \`${tool}\`: ${what}: ${why}`, { cause, details });
}

/**
 * The value of an outcome, for callers who prefer exceptions.
 *
 * @throws {EnforceError} the outcome's own error, of the class that fits its status
 */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.status === 'ok') return outcome.value;
  throw outcome.error;
}
