import type { Failure, Outcome } from '../call.ts';
import { type ErrorCode, isEnforceError } from '../errors.ts';

/** Exit codes of `enforcecore run`. Permanent. */
export const EXIT = {
  ok: 0,
  tool: 1,
  usage: 2,
  denied: 3,
  limit: 4,
  isolation: 5,
  audit: 6,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

const BY_STATUS: Readonly<Record<Failure, number>> = {
  'tool-error': EXIT.tool,
  crashed: EXIT.tool,
  'protocol-violation': EXIT.tool,
  denied: EXIT.denied,
  'output-denied': EXIT.denied,
  timeout: EXIT.limit,
  'cpu-limit': EXIT.limit,
  'out-of-memory': EXIT.limit,
  'output-too-large': EXIT.limit,
  'process-limit': EXIT.limit,
  'disk-limit': EXIT.limit,
  killed: EXIT.limit,
  aborted: EXIT.SIGINT,
  'isolation-unavailable': EXIT.isolation,
  'audit-failed': EXIT.audit,
};

/** Denials that say the command line names something that cannot be run at all. */
const USAGE_CODES: readonly ErrorCode[] = ['ENF_CALL_TARGET', 'ENF_CALL_TOOL_NAME'];

/** The exit code for an outcome of `run`. */
export function exitCodeOf(outcome: Outcome): number {
  if (outcome.status === 'ok') return EXIT.ok;
  if (outcome.status === 'denied' && USAGE_CODES.includes(outcome.error.code)) return EXIT.usage;
  return BY_STATUS[outcome.status];
}

/** The exit code for an error that was thrown before there was an outcome. */
export function exitCodeOfError(error: unknown): number {
  if (!isEnforceError(error)) return EXIT.tool;
  return error.code.startsWith('ENF_AUDIT_') ? EXIT.audit : EXIT.usage;
}
