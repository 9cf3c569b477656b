import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type {
  Confinement,
  FilesystemRules,
  Limits,
  NetworkRules,
  Tier,
  ToolTarget,
} from '../../src/call.ts';
import { chooseRunner } from '../../src/isolation/choose-runner.ts';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import { emptyReport, type Job, type Runner, type RunReport } from '../../src/isolation/runner.ts';
import { confinement, makeJob } from '../fixtures/job.ts';
import { ProcessFinder } from './process-finder.ts';

/** What a case may loosen or tighten; the rest is the policy that denies by default. */
export interface Policy {
  readonly limits?: Partial<Limits>;
  readonly filesystem?: Partial<FilesystemRules>;
  readonly network?: NetworkRules;
  readonly exec?: 'none' | 'any';
  readonly profile?: Confinement['isolation']['profile'];
  readonly environment?: Readonly<Record<string, string>>;
}

/** "default-deny" of the research: no network, writes only in scratch, little of everything. */
const DEFAULT_DENY: Partial<Limits> = {
  // Two seconds in the research; a busy machine needs longer to start. Deadline cases set their own.
  wallMs: 15_000,
  memoryBytes: 128 * 2 ** 20,
  processesMax: 32,
  openFilesMax: 256,
  fileSizeBytes: 8 * 2 ** 20,
  diskBytes: 16 * 2 ** 20,
  outputBytes: 2 ** 20,
};
/** Only stops a broken control. */
const CONTROL_MS_MAX = 30_000;
/** From a deadline to the end of the call, on a busy machine. */
const END_MS_MAX = 6000;
/** The control has no deadline: it need not be watched for long. */
const CONTROL_GRACE_MS = 300;
const EXPLICIT = ['environment', 'filesystem', 'network', 'isolation.profile', 'isolation.exec'];

/** What it knows of the host's processes serves every attempt. */
const finder = new ProcessFinder();

/** Path of a hostile tool. */
export function tool(name: string): string {
  return fileURLToPath(new URL(`tools/${name}`, import.meta.url));
}

/** One try of an attack: a place of its own, and a runner or none. */
export class Attempt {
  /** In the command line of everything the attack starts, so that it can be found from outside. */
  readonly token: string = `ec${randomBytes(6).toString('hex')}`;
  /** Must never leave the host. */
  readonly canary: string = `canary-${randomBytes(8).toString('hex')}`;
  /** Anybody may write here, so only the sandbox is in the way. */
  readonly folder: string;
  /** `unprotected`: the positive control. */
  readonly tier: Tier | 'unprotected';
  readonly #runner: Runner;
  readonly #mayRefuse: boolean;
  readonly egress: EgressRecord[] = [];
  #wasRefused = false;

  constructor(tier: Tier | 'unprotected', runner: Runner, { mayRefuse = false } = {}) {
    this.tier = tier;
    this.#runner = runner;
    this.#mayRefuse = mayRefuse;
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'escape-')));
    chmodSync(this.folder, 0o777);
  }

  /** A call was refused, where the case allows that. */
  get wasRefused(): boolean {
    return this.#wasRefused;
  }

  get isUnprotected(): boolean {
    return this.tier === 'unprotected';
  }

  /** A file with the canary that every user may read. */
  async secret(name = 'secret'): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, this.canary);
    chmodSync(path, 0o644);
    return path;
  }

  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  /** Runs a tool under the policy, or with no policy at all when unprotected. */
  async run(target: ToolTarget, args: unknown = {}, policy: Policy = {}): Promise<RunReport> {
    return (await this.start(target, args, policy)).report;
  }

  /** What a call of this attempt is held to. */
  confinementOf(policy: Policy): Confinement {
    const open = confinement({ wallMs: CONTROL_MS_MAX, outputBytes: Number.POSITIVE_INFINITY });
    return this.isUnprotected
      ? { ...open, environment: { pass: [], set: policy.environment ?? {} } }
      : confine(open, policy);
  }

  /** Runs a module that is changed after it was found and hashed. */
  async runSwapped(file: string, swap: () => void): Promise<RunReport> {
    const job = await makeJob(file);
    const held = this.confinementOf({});
    swap();
    return this.#runner.run({ ...job, confinement: held, remainingMs: held.limits.wallMs });
  }

  /** Whether calls of this tier have a control group here. */
  get hasCgroups(): boolean {
    return this.#runner.layers.includes('cgroup-kill');
  }

  /** Like {@link run}, for a test that looks at the call while it runs. */
  async start(
    target: ToolTarget,
    args: unknown = {},
    policy: Policy = {},
  ): Promise<{ readonly report: Promise<RunReport>; readonly stop: () => void }> {
    const words = typeof args === 'object' && args !== null ? { token: this.token, ...args } : args;
    const base = await makeJob(target, words);
    const held = this.confinementOf(policy);
    const onEgress = (record: EgressRecord): void => void this.egress.push(record);
    const remainingMs = held.limits.wallMs;
    const job: Job = { ...base, confinement: held, remainingMs, onEgress };
    const stop = (): void => base.halt({ status: 'killed', message: 'the test is over' });
    const choice = chooseRunner([this.#runner], job.target, held);
    if ('cause' in choice && this.tier !== 'process' && this.tier !== 'thread') {
      const report = this.#checkItRan(emptyReport(refused(choice.message)));
      return { report: Promise.resolve(report), stop };
    }
    return { report: this.#runner.run(job).then((report) => this.#checkItRan(report)), stop };
  }

  /** How long after its end something of the call must be there to count. */
  get graceMs(): number {
    return this.isUnprotected ? CONTROL_GRACE_MS : END_MS_MAX;
  }

  /** True when the call goes on after its deadline; it is stopped then. */
  outlivesDeadline(target: ToolTarget, args: unknown): Promise<boolean> {
    const wallMs = 700;
    return this.outlives(target, args, { limits: { wallMs } }, wallMs + this.graceMs);
  }

  /** True when a call, or a process of it, is still there after `afterMs`; it is stopped then. */
  async outlives(
    target: ToolTarget,
    args: unknown,
    policy: Policy,
    afterMs: number,
  ): Promise<boolean> {
    const { report, stop } = await this.start(target, args, policy);
    const outlived = await Promise.race([
      report.then(() => this.alive().length > 0),
      delay(afterMs, true),
    ]);
    stop();
    await report;
    return outlived;
  }

  /** An attack that never ran contains nothing. */
  #checkItRan(report: RunReport): RunReport {
    const { end } = report;
    if (end.status === 'ok') return report;
    const isRefused = end.code === 'ENF_ISOLATION_UNAVAILABLE';
    this.#wasRefused ||= isRefused;
    if ((isRefused && !this.#mayRefuse) || ['ENF_TOOL_LOAD', 'ENF_TOOL_EXPORT'].includes(end.code))
      throw new Error(`the attack did not run: ${end.message}`);
    return report;
  }

  /** Processes of the attack that still run, wherever they hide. */
  alive(): readonly number[] {
    return finder.find(this.token);
  }

  /**
   * Runs a tool and looks at its processes while they run.
   *
   * @param look - true once the effect shows in a process
   * @throws when no process of the attack was ever seen: then nothing was tried
   */
  async watch(
    target: ToolTarget,
    args: unknown,
    policy: Policy,
    look: (pids: readonly number[]) => boolean,
  ): Promise<boolean> {
    const { report, stop } = await this.start(target, args, policy);
    const over = report.then(
      () => true,
      () => true,
    );
    let shows = false;
    let seen = 0;
    while (!shows && !(await Promise.race([over, delay(25, false)]))) {
      const pids = this.alive();
      seen = Math.max(seen, pids.length);
      shows = pids.length > 0 && lookAt(pids, look);
    }
    if (shows) stop();
    const { end } = await report;
    if (seen === 0 && end.status !== 'isolation-unavailable')
      throw new Error(`nothing of the attack was seen: ${JSON.stringify(end)}`);
    return shows;
  }

  /** Ends whatever a control left. */
  clean(): void {
    for (const pid of this.alive()) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A process that ended while it was looked at shows nothing. */
function lookAt(pids: readonly number[], look: (pids: readonly number[]) => boolean): boolean {
  try {
    return look(pids);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(code)) return false;
    throw cause;
  }
}

function refused(message: string) {
  return {
    status: 'isolation-unavailable',
    code: 'ENF_ISOLATION_UNAVAILABLE',
    message,
  } as const;
}

function confine(base: Confinement, policy: Policy): Confinement {
  const { limits, filesystem, network = 'none', exec = 'none', profile = 'strict' } = policy;
  return {
    limits: { ...base.limits, ...DEFAULT_DENY, ...limits },
    environment: { pass: [], set: policy.environment ?? {} },
    filesystem: { ...base.filesystem, ...filesystem },
    network,
    isolation: { ...base.isolation, profile, exec },
    explicit: new Set(EXPLICIT),
  };
}
