import { ABORT_GRACE_MS, CallTimers } from './call-timers.ts';
import { limitEnd, stopEnd } from './run-end.ts';
import {
  emptyReport,
  type Job,
  type RunEnd,
  type Runner,
  type RunReport,
  type StopReason,
} from './runner.ts';
import type { FunctionCall } from './tool-target.ts';

const LAYERS = ['wall-clock'];

/** What a caller may declare to trust a function with, and the policy keys that covers. */
export const TRUSTED_KEYS = {
  memory: ['resource_limits.max_memory_mb'],
  cpu: ['resource_limits.max_cpu_seconds'],
  processes: ['resource_limits.max_processes', 'isolation.exec'],
  files: [
    'filesystem',
    'resource_limits.max_open_files',
    'resource_limits.max_file_size_mb',
    'resource_limits.max_disk_mb',
  ],
  environment: ['environment'],
  network: ['network'],
  isolation: ['isolation.min', 'isolation.level', 'isolation.profile', 'isolation.require'],
} as const;

/** One of `memory`, `cpu`, `processes`, `files`, `environment`, `network`, `isolation`. */
export type Trust = keyof typeof TRUSTED_KEYS;

/**
 * A function of this process: rules, redaction and audit hold, isolation does not. A deadline or a
 * stop rejects the call and fires its signal; the function itself may run on.
 */
export class FunctionRunner implements Runner {
  readonly tier = 'none';
  readonly layers: readonly string[] = LAYERS;
  readonly enforces: ReadonlySet<string>;

  /** @param trusted - limits that the caller waives for this function */
  constructor(trusted: readonly Trust[] = []) {
    this.enforces = new Set([
      'resource_limits.max_call_duration_seconds',
      'resource_limits.max_output_size_bytes',
      ...trusted.flatMap((name) => TRUSTED_KEYS[name]),
    ]);
  }

  async run(job: Job): Promise<RunReport> {
    const end = job.stop.aborted ? stopEnd(job.stop.reason as StopReason) : await endOf(job);
    return emptyReport(end, { layers: LAYERS });
  }

  /** Functions cannot be ended; there is nothing to free. */
  async close(): Promise<void> {}
}

/** The first of the function's own end, the deadline and a stop. */
async function endOf(job: Job): Promise<RunEnd> {
  const timers = new CallTimers();
  const abort = new AbortController();
  let onStop: () => void = () => {};
  const stopped = new Promise<RunEnd>((resolve) => {
    const end = (reached: RunEnd): void => {
      resolve(reached);
      if (reached.status !== 'ok') abort.abort(new Error(reached.message));
    };
    onStop = () => {
      const reason = job.stop.reason as StopReason;
      abort.abort(new Error(reason.message));
      timers.after(reason.status === 'killed' ? 0 : ABORT_GRACE_MS, () => end(stopEnd(reason)));
    };
    timers.armDeadline(job, {
      warn: (reason) => abort.abort(new Error(reason)),
      expire: () => end(limitEnd('wall', job.confinement.limits)),
    });
    job.stop.addEventListener('abort', onStop, { once: true });
  });
  try {
    const end = await Promise.race([stopped, invoke(job, abort)]);
    return job.stop.aborted ? stopEnd(job.stop.reason as StopReason) : end;
  } finally {
    timers.clear();
    job.stop.removeEventListener('abort', onStop);
  }
}

async function invoke(job: Job, abort: AbortController): Promise<RunEnd> {
  const { callId, tool, target, argsJson } = job;
  if (target.kind !== 'function') throw new TypeError('only functions run in this process');
  const call: FunctionCall = {
    callId,
    tool,
    // Most functions never ask, and a signal costs as much as an entry of the trail.
    get signal() {
      return abort.signal;
    },
  };
  try {
    return { status: 'ok', value: await target.invoke(JSON.parse(argsJson), call) };
  } catch (cause) {
    return { status: 'tool-error', code: 'ENF_TOOL_FAILED', message: messageOf(cause) };
  }
}

/** The text of anything that was thrown; an object's own code may throw again when it is read. */
function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    return 'the function threw a value that cannot be read';
  }
}
