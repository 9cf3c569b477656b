/**
 * Every error code this package can raise, with its one-line meaning. Codes are permanent: callers
 * branch on them. `docs/error-codes.md` is made from this table, see `test/errors.test.ts`.
 */
export const ERROR_CODES = {
  // The call as the program or the command line stated it.
  ENF_CALL_ARGUMENT:
    'an argument of the library or an option of a call is not what the API expects',
  ENF_CALL_TARGET: 'the tool file or command does not exist, is not a file, or cannot be read',
  ENF_CALL_TOOL_NAME: 'the tool name has characters that are not allowed, or is empty or too long',
  ENF_CALL_ARGS: 'the arguments are not I-JSON (cycle, BigInt, NaN, lone surrogate, function)',
  ENF_CALL_ARGS_SIZE: 'the serialised arguments are larger than `max_input_size_bytes`',
  ENF_CALL_ARGS_DEPTH: 'the arguments are nested deeper than `max_argument_depth`',
  ENF_CALL_LOOSER: 'a call option would loosen the policy; options may only tighten it',
  ENF_CALL_NESTED: 'enforced calls are nested deeper than allowed',
  ENF_CALL_CLOSED: 'the enforcer was closed and takes no new calls',

  // Policy files.
  ENF_POLICY_READ: 'the policy file does not exist or cannot be read',
  ENF_POLICY_INVALID: 'the policy has problems; all of them are listed with their positions',

  // Decisions.
  ENF_DENIED_TOOL: 'the tool is in `denied_tools`',
  ENF_DENIED_NOT_ALLOWED: 'the tool is not in `allowed_tools`',
  ENF_DENIED_TARGET: 'the code under the tool name is not the code that the policy pins',
  ENF_DENIED_INPUT: 'the arguments do not fit the `input_schema` of the tool',
  ENF_DENIED_CONDITION: 'a condition of the policy does not hold',
  ENF_DENIED_SEQUENCE: 'a sequence rule forbids the call after what the session did, or did not do',
  ENF_DENIED_CONTENT: 'an argument contains what a content rule blocks',
  ENF_DENIED_NETWORK: 'an argument or a request names an address that no network rule allows',
  ENF_DENIED_RULE: 'a custom rule denies the call',
  ENF_DENIED_OUTPUT: 'the result contains what an output rule blocks; it is withheld',
  ENF_DENIED_CONCURRENCY: 'as many calls as `max_concurrent_calls` are already running',
  ENF_DENIED_KILL_SWITCH: 'the kill switch is tripped; no call starts until it is reset',
  ENF_DENIED_RATE: 'a rate limit or a sum within a window would be exceeded',
  ENF_DENIED_BUDGET: 'the budget of `max_cost_usd` does not cover the call',
  ENF_DENIED_RULE_FAILED: 'a rule could not be evaluated; a rule that fails denies',

  // Shared state of rates, budgets and slots; the kill switch.
  ENF_STATE_STORE: 'the state folder cannot be locked, read or written; no call is admitted',
  ENF_KILL_FILE: 'the kill file cannot be removed; the kill switch stays tripped',

  // Limits enforced from outside while the tool ran.
  ENF_LIMIT_WALL: 'the call ran longer than `max_call_duration_seconds` and was killed',
  ENF_LIMIT_CPU: 'the tool used more CPU time than `max_cpu_seconds` and was killed',
  ENF_LIMIT_MEMORY: 'the tool used more memory than `max_memory_mb` and was killed',
  ENF_LIMIT_OUTPUT: 'the tool wrote or returned more than `max_output_size_bytes`',
  ENF_LIMIT_PROCESSES: 'the tool started more processes than `max_processes` and was killed',
  ENF_LIMIT_DISK: 'the tool wrote more than `max_disk_mb` and was killed',
  ENF_CALL_KILLED: 'the kill switch or a closing enforcer ended the call',
  ENF_CALL_ABORTED: 'the caller aborted the call through its signal',

  // The tool itself.
  ENF_TOOL_FAILED: 'the tool threw, rejected, or a command exited with a non-zero code',
  ENF_TOOL_LOAD: 'the tool module could not be loaded (syntax error, missing import)',
  ENF_TOOL_EXPORT: 'the tool module does not export the function that was asked for',
  ENF_TOOL_RESULT: 'the result is not I-JSON (cycle, BigInt, NaN, function, too deep)',

  // The worker and the boundary.
  ENF_WORKER_CRASHED: 'the worker ended by a signal or exited before it gave a result',
  ENF_WORKER_PROTOCOL: 'the worker sent bytes that are not a valid message, and was killed',
  ENF_ISOLATION_UNAVAILABLE: 'this host cannot enforce what the policy asks for; nothing ran',

  // The audit trail.
  ENF_AUDIT_OPEN: 'the audit trail cannot be opened, locked or continued',
  ENF_AUDIT_REQUIRED: 'the policy requires an audit trail, and audit is switched off',
  ENF_AUDIT_WRITE: 'an audit entry could not be written in full',
  ENF_AUDIT_ENTRY: 'an audit entry does not fit the format (too long, too deep, reserved field)',
  ENF_AUDIT_READ: 'the path is not an audit trail or cannot be read',
  ENF_AUDIT_LOCK: 'another process holds the lock of the audit trail',
  ENF_AUDIT_KEY:
    'a key of the audit trail is missing, readable by others, malformed or of another trail',
  ENF_AUDIT_PROOF: 'an audit proof is malformed or does not fit the tree it is for',

  // This package itself.
  ENF_INTERNAL: 'a fault in enforcecore; the call was ended and recorded as crashed',

  // Redaction.
  ENF_REDACTION_RULES: 'the redaction rules have an unknown key, category, strategy or direction',
  ENF_REDACTION_PATTERN: 'a custom pattern is not valid: its name, its RE2 syntax, or its size',
  ENF_REDACTION_DEPTH: 'the value is nested deeper than redaction follows',
  ENF_REDACTION_SIZE: 'the value has more parts or characters than redaction takes on',
  ENF_REDACTION_UNREADABLE: 'the value cannot be read as data (function, stream, throwing getter)',

  // Settings and command line.
  ENF_SETTINGS_INVALID: 'an environment variable or the config file holds a bad setting',
  ENF_CLI_USAGE: 'the command line is not valid; the message says what was expected',
} as const;

/** One of the permanent codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** JSON-safe facts about an error. Never holds arguments, results or secrets. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** What every error of this package has besides its message. */
export interface EnforceErrorOptions {
  readonly details?: ErrorDetails | undefined;
  readonly cause?: unknown;
}

/** On the prototype, by a shared symbol: two copies of this package recognise each other's errors. */
const ENFORCE_ERROR = Symbol.for('enforcecore.error');

/**
 * Base of every error this package throws or puts into an outcome. Branch on `code`.
 */
export class EnforceError extends Error {
  override readonly name: string = 'EnforceError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: EnforceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** The form in which an error crosses a boundary or is printed: no stack, no cause. */
  toJSON(): { name: string; code: ErrorCode; message: string; details: ErrorDetails } {
    return { name: this.name, code: this.code, message: this.message, details: this.details };
  }
}

Object.defineProperty(EnforceError.prototype, ENFORCE_ERROR, { value: true });

/** A policy cannot be read or has problems. `details.problems` lists every one. */
export class PolicyError extends EnforceError {
  override readonly name = 'PolicyError';
}

/** The policy, or a limit on calls, says no. The tool did not run. */
export class CallDeniedError extends EnforceError {
  override readonly name = 'CallDeniedError';
}

/** A limit, the kill switch or the caller ended the call. */
export class LimitExceededError extends EnforceError {
  override readonly name = 'LimitExceededError';
}

/** The tool failed by itself. Its message is the tool's own, redacted. */
export class ToolError extends EnforceError {
  override readonly name = 'ToolError';
}

/** The worker crashed or broke the protocol. */
export class WorkerError extends EnforceError {
  override readonly name = 'WorkerError';
}

/** The host lacks what the policy demands. `details` names cause and remedy. */
export class IsolationUnavailableError extends EnforceError {
  override readonly name = 'IsolationUnavailableError';
}

/** The audit trail could not be opened, written or read. */
export class AuditError extends EnforceError {
  override readonly name = 'AuditError';
}

/**
 * True for every error of this package, also one made by another copy of it.
 *
 * @param value - anything, usually what a `catch` caught
 */
export function isEnforceError(value: unknown): value is EnforceError {
  return typeof value === 'object' && value !== null && ENFORCE_ERROR in value;
}
