import type { Confinement, Failure, Layer, LimitKind, Tier } from '../call.ts';
import type { ErrorCode } from '../errors.ts';
import type { EgressRecord } from './egress-gate.ts';
import type { ExplanationSection } from './explanation.ts';
import type { Shortfall } from './host-support-error.ts';
import type { ResolvedTarget } from './tool-target.ts';

/** Why a call is stopped from outside: the `reason` of {@link Job.stop}. */
export interface StopReason {
  readonly status: 'killed' | 'aborted';
  readonly message: string;
}

/** One admitted call, as a runner gets it: judged, redacted, and frozen into text. */
export interface Job {
  /** Random; a worker must repeat it, so that no other call's result can be taken for this one's. */
  readonly callId: string;
  readonly tool: string;
  readonly target: ResolvedTarget;
  /** I-JSON text: these bytes are sent, no others. */
  readonly argsJson: string;
  readonly confinement: Confinement;
  /** What is left of the wall-clock limit when the runner starts. `Infinity` = none. */
  readonly remainingMs: number;
  /** Aborted with a {@link StopReason} by the kill switch, a closing enforcer or the caller. */
  readonly stop: AbortSignal;
  readonly onLog?: (message: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
  /** Every connection of the tool, at its end or when it is refused. Once it threw, all are refused. */
  readonly onEgress?: (record: EgressRecord) => void;
}

/** What a worker is started for: nothing of a single call, so that it can be started before one. */
export interface WorkerSpec extends Pick<Job, 'target' | 'confinement'> {
  /** What passes of this process's environment; it may change before the worker is started. */
  readonly inherited?: Readonly<Record<string, string | undefined>>;
}

/** How the worker ended. */
export type RunEnd =
  // UNTRUSTED. Checked I-JSON from a worker or command, anything from a function of this process.
  | { readonly status: 'ok'; readonly value: unknown }
  | {
      readonly status: Exclude<Failure, 'denied' | 'output-denied' | 'audit-failed'>;
      readonly code: ErrorCode;
      readonly message: string;
      readonly limit?: LimitKind;
    };

/** Everything the supervisor knows after the call, from its own observation. */
export interface RunReport {
  readonly end: RunEnd;
  readonly stdout: string;
  readonly stderr: string;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  /** Of result, stdout and stderr together. */
  readonly outputBytes: number;
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
  /** What was really in force. */
  readonly layers: readonly Layer[];
  readonly profileDigest: string | null;
  readonly limitsHit: readonly string[];
}

/** The report of a call that ended before anything of the tool ran. */
export function emptyReport(
  end: RunEnd,
  { layers = [], profileDigest = null }: Partial<Pick<RunReport, 'layers' | 'profileDigest'>> = {},
): RunReport {
  return {
    end,
    stdout: '',
    stderr: '',
    cpuMs: 0,
    peakMemoryBytes: 0,
    outputBytes: 0,
    exit: null,
    layers,
    profileDigest,
    limitsHit: [],
  };
}

/** Starts and watches one kind of worker. Every runner passes the same test suite. */
export interface Runner {
  /** `none`: a function of this process. */
  readonly tier: Tier | 'none';
  /** What this runner puts around every worker, for `isolation.require` and reports. */
  readonly layers: readonly Layer[];
  /** Policy keys it enforces: `resource_limits.max_memory_mb`, `filesystem`, `network` … */
  readonly enforces: ReadonlySet<string>;
  /** Why it cannot run such a tool under such a policy, when it cannot. */
  unsuited?(target: ResolvedTarget, confinement: Confinement): Shortfall | null;
  /** What it would put around this job, in detail. Starts nothing. */
  explain?(job: Job): readonly ExplanationSection[];
  /** Runs one job to its end. Never rejects; nothing of the worker is left when it resolves. */
  run(job: Job): Promise<RunReport>;
  /** Ends what is still running and frees what the runner holds. */
  close(): Promise<void>;
}
