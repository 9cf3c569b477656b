import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import {
  IJsonError,
  parseIJson,
  RESULT_DEPTH_MAX,
  type ThreadNotice,
  type ThreadTask,
  type ToolEnd,
} from '../../worker/protocol.ts';
import type { Json, LimitKind } from '../call.ts';
import { ABORT_GRACE_MS, CallTimers } from './call-timers.ts';
import { CapturedOutput } from './captured-output.ts';
import { buildEnvironment } from './environment.ts';
import { limitEnd, stopEnd } from './run-end.ts';
import { runInScratch } from './run-in-scratch.ts';
import {
  emptyReport,
  type Job,
  type RunEnd,
  type Runner,
  type RunReport,
  type StopReason,
} from './runner.ts';
import { changedTarget } from './target-check.ts';

const LAYERS = ['own-thread', 'scrubbed-environment', 'wall-clock', 'output-cap', 'heap-limit'];

/** Not memory: the heap limit of a thread does not see Buffers (measured: 600 MB past a 32 MB limit). */
const ENFORCES = [
  'environment',
  'resource_limits.max_call_duration_seconds',
  'resource_limits.max_output_size_bytes',
];

/**
 * A worker thread of this process, one per call, for TRUSTED code only: it stops endless loops and
 * heap growth. It is no security boundary, and `auto` never chooses it.
 */
export class ThreadRunner implements Runner {
  readonly tier = 'thread';
  readonly layers: readonly string[] = LAYERS;
  readonly enforces: ReadonlySet<string> = new Set(ENFORCES);

  async run(job: Job): Promise<RunReport> {
    if (job.target.kind !== 'module') return emptyReport(NO_COMMANDS, { layers: LAYERS });
    // Loaded when it is needed: every command line pays for what stands at the top of a module.
    const { Piscina: Pool } = await import('piscina');
    return runInScratch(LAYERS, async (scratch) => {
      const { stop } = job;
      if (stop.aborted) return emptyReport(stopEnd(stop.reason as StopReason), { layers: LAYERS });
      const changed = changedTarget(job.target);
      if (changed !== null) return emptyReport(changed, { layers: LAYERS });
      const call = new ThreadCall(job, scratch, Pool);
      try {
        return await call.run();
      } finally {
        await call.destroy();
      }
    });
  }

  /** Calls end with their own threads; there is nothing to free. */
  async close(): Promise<void> {}
}

const NO_COMMANDS: RunEnd = {
  status: 'isolation-unavailable',
  code: 'ENF_ISOLATION_UNAVAILABLE',
  message: 'a command cannot run in a thread; use `isolation.level: process` or higher',
};

class ThreadCall {
  readonly #job: Job;
  readonly #pool: Piscina<ThreadTask, ToolEnd>;
  readonly #timers: CallTimers = new CallTimers();
  /** Aborting makes piscina terminate the thread, which also ends synchronous loops. */
  readonly #kill: AbortController = new AbortController();
  readonly #output: Readonly<Record<'stdout' | 'stderr', CapturedOutput>>;
  #port: MessagePort | null = null;
  #end: RunEnd | null = null;
  #resultBytes = 0;

  constructor(job: Job, scratch: string, Pool: typeof Piscina) {
    this.#job = job;
    const { limits, environment } = job.confinement;
    this.#output = {
      stdout: new CapturedOutput(limits.outputBytes),
      stderr: new CapturedOutput(limits.outputBytes),
    };
    this.#pool = new Pool({
      filename: fileURLToPath(import.meta.resolve('#worker/thread-entry')),
      name: 'runTask',
      minThreads: 1,
      maxThreads: 1,
      // Tools may use timers and I/O; a thread parked in Atomics.wait would starve them.
      atomics: 'disabled',
      env: buildEnvironment(environment, process.env, scratch),
      resourceLimits: heapLimits(limits.memoryBytes),
    });
    // A thread that dies outside its task must not become an uncaught exception of this process.
    this.#pool.on('error', (cause) => this.#settle(crashEnd(cause)));
  }

  async run(): Promise<RunReport> {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (notice: ThreadNotice) => this.#onNotice(notice));
    this.#watchTime();
    const task = { start: startOf(this.#job), port: port2, outputBytesMax: this.#outputBytesMax };
    try {
      const end = await this.#pool.run(task, { transferList: [port2], signal: this.#kill.signal });
      this.#readNotices(port1);
      this.#end ??= this.#endFromTool(end);
    } catch (cause) {
      this.#readNotices(port1);
      this.#end ??= crashEnd(cause);
    }
    // The tool's last words may still be on their way: they have a port of their own.
    for (let last = receiveMessageOnPort(port1); last; last = receiveMessageOnPort(port1)) {
      this.#onNotice(last.message);
    }
    const { stdout, stderr } = this.#output;
    return {
      ...emptyReport(this.#end, { layers: LAYERS }),
      stdout: stdout.text(),
      stderr: stderr.text(),
      outputBytes: stdout.bytes + stderr.bytes + this.#resultBytes,
    };
  }

  async destroy(): Promise<void> {
    this.#timers.clear();
    this.#job.stop.removeEventListener('abort', this.#onStop);
    this.#port?.close();
    await this.#pool.destroy();
  }

  get #outputBytesMax(): number {
    return this.#job.confinement.limits.outputBytes;
  }

  #settle(end: RunEnd): void {
    this.#end ??= end;
    this.#kill.abort();
  }

  #breach(limit: LimitKind): void {
    this.#settle(limitEnd(limit, this.#job.confinement.limits));
  }

  #watchTime(): void {
    this.#timers.armDeadline(this.#job, {
      warn: (reason) => this.#port?.postMessage({ type: 'abort', reason }),
      expire: () => this.#breach('wall'),
    });
    this.#job.stop.addEventListener('abort', this.#onStop, { once: true });
  }

  readonly #onStop = (): void => {
    const reason = this.#job.stop.reason as StopReason;
    this.#end ??= stopEnd(reason);
    if (reason.status === 'killed') return this.#kill.abort();
    this.#port?.postMessage({ type: 'abort', reason: reason.message });
    this.#timers.after(ABORT_GRACE_MS, () => this.#kill.abort());
  };

  /** The result comes on another port, and may overtake what was said before it. */
  #readNotices(port: MessagePort): void {
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      this.#onNotice(next.message as ThreadNotice);
    }
  }

  #onNotice(notice: ThreadNotice): void {
    if (notice.type === 'overflow') this.#breach('output');
    else if (notice.type === 'log') this.#job.onLog?.(notice.message);
    else if (notice.type === 'progress') this.#job.onProgress?.(notice.done, notice.total);
    else this.#output[notice.type].push(notice.bytes);
  }

  #endFromTool(end: ToolEnd): RunEnd {
    if (!end.ok) {
      const { code, message } = end;
      if (code === 'ENF_LIMIT_OUTPUT') return limitEnd('output', this.#job.confinement.limits);
      return { status: 'tool-error', code, message };
    }
    if (end.json === undefined) return { status: 'ok', value: undefined };
    this.#resultBytes = Buffer.byteLength(end.json);
    try {
      const bounds = { depthMax: RESULT_DEPTH_MAX, bytesMax: this.#outputBytesMax };
      return { status: 'ok', value: parseIJson(end.json, 'result', bounds) as Json };
    } catch (cause) {
      if (!(cause instanceof IJsonError)) throw cause;
      return { status: 'protocol-violation', code: 'ENF_WORKER_PROTOCOL', message: cause.message };
    }
  }
}

function startOf({ callId, tool, target, argsJson, confinement }: Job): ThreadTask['start'] {
  if (target.kind !== 'module') throw new TypeError('only modules run in threads');
  return {
    type: 'start',
    callId,
    tool,
    module: target.module,
    ...(target.export === undefined ? {} : { export: target.export }),
    args: JSON.parse(argsJson),
    resultBytesMax: confinement.limits.outputBytes,
  };
}

function heapLimits(memoryBytes: number): { maxOldGenerationSizeMb?: number } {
  if (memoryBytes === Number.POSITIVE_INFINITY) return {};
  return { maxOldGenerationSizeMb: Math.max(8, Math.floor(memoryBytes / 2 ** 20)) };
}

function crashEnd(cause: unknown): RunEnd {
  if ((cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return {
      status: 'out-of-memory',
      code: 'ENF_LIMIT_MEMORY',
      limit: 'memory',
      message: 'the JavaScript heap of the tool is full',
    };
  }
  return {
    status: 'crashed',
    code: 'ENF_WORKER_CRASHED',
    message: 'the worker thread ended before it gave a result',
  };
}
