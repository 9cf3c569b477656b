import type { Confinement, IsolationReport, Reason, Tier, Usage } from '../call.ts';
import type { ToolRules } from '../gate/index.ts';
import {
  chooseRunner,
  type EgressRecord,
  type Job,
  type ResolvedTarget,
  type RunReport,
  STOP_CODES,
  type StopReason,
} from '../isolation/index.ts';
import type { Redactor } from '../redaction/index.ts';
import { EgressLog } from './egress-log.ts';
import type { IdentifiedCall } from './identify.ts';
import { auditFailure, denial, type FinalEnd, failure } from './outcome.ts';
import { outputReasons } from './output-rules.ts';
import type { CallRequest, EnforcementParts } from './parts.ts';
import { type Counts, isTooLarge, type RedactedOutput, redactOutput } from './redact-call.ts';

/** What became of an admitted call. */
export interface Performance {
  readonly end: FinalEnd;
  readonly isolation: IsolationReport;
  readonly usage: Usage;
  readonly stdout: string;
  readonly stderr: string;
  readonly outputCounts: Counts;
  readonly limitsHit: readonly string[];
  readonly exit: RunReport['exit'];
  /** What the output rules had against it; with `on_violation: log` it was passed on all the same. */
  readonly reasons: readonly Reason[];
  /** False: nothing was started. */
  readonly isRun: boolean;
}

const NO_ISOLATION: IsolationReport = {
  tier: 'none',
  layers: [],
  profileDigest: null,
  unenforced: [],
};

const NO_USAGE: Usage = { wallMs: 0, cpuMs: 0, peakMemoryBytes: 0, outputBytes: 0, costUsd: 0 };

/** A call that did not start, and why. */
export function notPerformed(end: FinalEnd): Performance {
  return {
    end,
    isolation: NO_ISOLATION,
    usage: NO_USAGE,
    stdout: '',
    stderr: '',
    outputCounts: {},
    limitsHit: [],
    exit: null,
    reasons: [],
    isRun: false,
  };
}

/** One admitted call, ready to be run. */
export interface AdmittedCall {
  readonly request: CallRequest;
  readonly call: IdentifiedCall;
  readonly argsJson: string;
  readonly confinement: Confinement;
  readonly rules: ToolRules;
  readonly redactor: Redactor;
  readonly admittedAt: number;
  /** What the policy says a call costs. */
  readonly costUsd: number;
}

/** Runs an admitted call where the policy wants it run, and redacts what comes back. */
export async function perform(
  parts: EnforcementParts,
  admitted: AdmittedCall,
): Promise<Performance> {
  const { request, confinement, rules, redactor, call, admittedAt } = admitted;
  if (call.target === null) throw new TypeError('a call without a target was admitted');
  if (request.stop.aborted) return notPerformed(stoppedBefore(admitted));
  const choice = chooseRunner(request.runners, call.target, confinement, request.shortfalls);
  if (!('runner' in choice)) {
    const { message, cause, remedy } = choice;
    const details = { cause, remedy };
    return notPerformed(
      failure('isolation-unavailable', 'ENF_ISOLATION_UNAVAILABLE', message, { details }),
    );
  }
  const { runner, unenforced } = choice;
  const egress = new EgressLog(parts.trail, call.callId);
  const onEgress = (record: EgressRecord): void => egress.add(record);
  const report = await runner.run({ ...jobOf(parts, admitted, call.target), onEgress });
  const unwritten = await egress.firstFailure();
  const output = redactOutput(report, redactor, rules);
  const reasons = outputReasons(parts, call.tool, report);
  const refusals = rules.onViolation === 'log' ? output.refusals : [...output.refusals, ...reasons];
  const { layers, profileDigest, cpuMs, peakMemoryBytes, outputBytes, limitsHit, exit } = report;
  const isRecorded = unwritten === undefined;
  const isShown = isRecorded && refusals.length === 0;
  return {
    end: isRecorded
      ? finalEnd(call.tool, { ...output, refusals }, confinement, runner.tier)
      : auditFailure(call.tool, unwritten, true),
    isolation: { tier: runner.tier, layers, profileDigest, unenforced },
    usage: {
      wallMs: Math.round(parts.clock() - admittedAt),
      cpuMs: Math.round(cpuMs),
      peakMemoryBytes,
      outputBytes,
      costUsd: admitted.costUsd,
    },
    stdout: isShown ? output.stdout : '',
    stderr: isShown ? output.stderr : '',
    outputCounts: output.counts,
    limitsHit,
    exit,
    reasons,
    // A runner that finds out late that it cannot confine the tool did not start it.
    isRun: report.end.status !== 'isolation-unavailable',
  };
}

/** The kill switch, the caller or a closing enforcer was faster than the start. */
function stoppedBefore({ request, call, redactor }: AdmittedCall): FinalEnd {
  const { status, message } = request.stop.reason as StopReason;
  const { value } = redactor.redactText(message, { direction: 'output' });
  return failure(status, STOP_CODES[status], `tool \`${call.tool}\`: ${value}`);
}

function jobOf(parts: EnforcementParts, admitted: AdmittedCall, target: ResolvedTarget): Job {
  const { request, call, argsJson, confinement, redactor, admittedAt } = admitted;
  const { onLog, onProgress, stop } = request;
  return {
    callId: call.callId,
    tool: call.tool,
    target,
    argsJson,
    confinement,
    remainingMs: confinement.limits.wallMs - (parts.clock() - admittedAt),
    stop,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onLog === undefined
      ? {}
      : { onLog: (message) => onLog(redactor.redactText(message, { direction: 'output' }).value) }),
  };
}

function finalEnd(
  tool: string,
  output: RedactedOutput,
  { limits }: Confinement,
  tier: Tier | 'none',
): FinalEnd {
  if (output.refusals.length > 0) return denial('output-denied', tool, output.refusals);
  const { end } = output;
  if (end.status === 'ok') {
    if (!isTooLarge(end.value, tier, limits)) return end;
    const message = `tool \`${tool}\`: the redacted result is larger than ${limits.outputBytes} bytes`;
    return failure('output-too-large', 'ENF_LIMIT_OUTPUT', message, { limit: 'output' });
  }
  // A function of this process may run on after its call has ended.
  const details = tier === 'none' && end.status !== 'tool-error' ? { stopped: false } : {};
  const message = `tool \`${tool}\`: ${end.message}`;
  return failure(end.status, end.code, message, { limit: end.limit, details });
}
