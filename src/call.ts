import type { EnforceError, ErrorCode } from './errors.ts';

/** A JSON value. Arguments and results are I-JSON (RFC 7493): no NaN, no lone surrogates. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What is to run: a module path, a named export of a module, or a command with its arguments. */
export type ToolTarget =
  | string
  | { readonly module: string; readonly export?: string }
  | { readonly command: readonly [string, ...string[]] };

/**
 * Who asks. Recorded in the audit trail; rates and budgets are kept per agent and tenant, sequence
 * rules per session.
 */
export interface CallContext {
  readonly agent?: string;
  readonly session?: string;
  readonly tenant?: string;
  /** What the caller knows the call to cost, US dollars >= 0; the policy's `cost` is the floor. */
  readonly costUsd?: number;
}

/** One request to run a tool, after its arguments were frozen into JSON. */
export interface ToolCall {
  readonly tool: string;
  readonly args: Json;
  readonly context: CallContext;
}

/** How strongly a worker is separated from its supervisor, weakest first. */
export const TIERS = ['thread', 'process', 'hardened', 'isolated'] as const;
/** How strongly a worker is separated from its supervisor; `isolated` is the strongest. */
export type Tier = (typeof TIERS)[number];

/**
 * One thing that is really in force around a worker, for example `scrubbed-environment`,
 * `memory-watchdog`, `landlock`, `seccomp`, `cgroup-memory`, `network-namespace`.
 */
export type Layer = string;

/** The limits one call runs under. `Infinity` stands for `unlimited`. */
export interface Limits {
  /** From admission to result. */
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  /** Processes and threads the tool may add to the worker's own; 0 = no new process. */
  readonly processesMax: number;
  readonly openFilesMax: number;
  readonly fileSizeBytes: number;
  readonly diskBytes: number;
  /** Serialised arguments. */
  readonly inputBytes: number;
  readonly argumentDepthMax: number;
  /** Result, stdout and stderr, each. */
  readonly outputBytes: number;
}

/** What reaches the tool's environment; nothing else does. */
export interface EnvironmentRules {
  /** Names copied from the supervisor's environment where present. */
  readonly pass: readonly string[];
  readonly set: Readonly<Record<string, string>>;
}

/** Absolute paths the tool may use besides its own code and scratch. */
export interface FilesystemRules {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly deny: readonly string[];
  readonly execute: readonly string[];
}

/** Where the tool may connect to. */
export type NetworkRules =
  | 'none'
  | 'unrestricted'
  | { readonly allowedDomains: readonly string[]; readonly deniedDomains: readonly string[] };

/** What the policy demands of the isolation of a call. */
export interface IsolationRules {
  readonly level: 'auto' | Tier;
  readonly min: Tier;
  readonly require: readonly Layer[];
  readonly profile: 'strict' | 'compat' | 'off';
  readonly exec: 'none' | 'any';
  readonly reuse: number;
}

/**
 * Everything a runner must hold a tool to. `explicit` names the policy keys that the user wrote
 * (`resource_limits.max_cpu_seconds`, `filesystem`, `network`): what is written and cannot be
 * enforced refuses the call, what is only a default is reported as unenforced.
 */
export interface Confinement {
  readonly limits: Limits;
  readonly environment: EnvironmentRules;
  readonly filesystem: FilesystemRules;
  readonly network: NetworkRules;
  readonly isolation: IsolationRules;
  readonly explicit: ReadonlySet<string>;
}

/** One rule that spoke about a call. */
export interface Reason {
  /** Path of the rule in the policy: `denied_tools`, `rate_limits.search_web`, `conditions[2]`. */
  readonly rule: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The answer to "may this call run?", with every reason that spoke against it. */
export interface Decision {
  readonly effect: 'allow' | 'deny';
  readonly reasons: readonly Reason[];
  /** `on_violation: log` let a call through that the rules deny. */
  readonly wouldDeny: boolean;
  readonly policy: { readonly name: string; readonly version?: string; readonly digest: string };
}

/** What the target turned out to be: the identity that is audited and pinned. */
export interface TargetIdentity {
  readonly kind: 'module' | 'command' | 'function';
  /** Absolute path of the module or program, or the function's name. */
  readonly path: string;
  readonly export?: string;
  /** Of the bytes of the file; absent for a function of this process. */
  readonly sha256?: string;
}

/** The limits whose breach ends a call. */
export type LimitKind = 'wall' | 'cpu' | 'memory' | 'output' | 'processes' | 'disk';

/** Every way a call can end other than `ok`. */
export type Failure =
  | 'denied'
  | 'output-denied'
  | 'timeout'
  | 'cpu-limit'
  | 'out-of-memory'
  | 'output-too-large'
  | 'process-limit'
  | 'disk-limit'
  | 'killed'
  | 'aborted'
  | 'tool-error'
  | 'crashed'
  | 'protocol-violation'
  | 'isolation-unavailable'
  | 'audit-failed';

/** What a call used. Zero where the tier cannot know (see the tier table in the docs). */
export interface Usage {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  readonly outputBytes: number;
  readonly costUsd: number;
}

/** How the call was confined, as it really was, not as it was asked for. */
export interface IsolationReport {
  readonly tier: Tier | 'none';
  readonly layers: readonly Layer[];
  readonly profileDigest: string | null;
  /** Defaults of the policy that this tier cannot enforce. */
  readonly unenforced: readonly string[];
}

/** What was redacted, by category, never the matched text. */
export interface RedactionCounts {
  readonly input: number;
  readonly output: number;
  readonly byCategory: Readonly<Record<string, number>>;
}

/** Facts every outcome has, however the call ended. */
export interface OutcomeFacts {
  readonly callId: string;
  readonly tool: string;
  readonly target: TargetIdentity | null;
  readonly decision: Decision;
  readonly isolation: IsolationReport;
  readonly usage: Usage;
  readonly redactions: RedactionCounts;
  /** Redacted, capped at the output limit. */
  readonly stdout: string;
  readonly stderr: string;
  /** Limits that the tool met and survived, such as `EMFILE`. */
  readonly limitsHit: readonly string[];
  /** Place of the outcome entry in the trail. */
  readonly audit?: { readonly seq: number; readonly entryHash: string };
}

/** How one call ended. Failures are values; `unwrap` turns them into exceptions. */
export type Outcome<T = Json | undefined> = OutcomeFacts &
  (
    | { readonly status: 'ok'; readonly value: T }
    | { readonly status: Failure; readonly error: EnforceError; readonly limit?: LimitKind }
  );
