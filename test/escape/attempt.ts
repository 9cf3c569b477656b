import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
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
import type { EgressRecord } from '../../src/isolation/egress-proxy.ts';
import { emptyReport, type Job, type Runner, type RunReport } from '../../src/isolation/runner.ts';
import { makeJob } from '../fixtures/job.ts';
import { isRunning } from '../fixtures/observe.ts';

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
const EXPLICIT = ['environment', 'filesystem', 'network', 'isolation.profile', 'isolation.exec'];

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

  constructor(tier: Tier | 'unprotected', runner: Runner, { mayRefuse = false } = {}) {
    this.tier = tier;
    this.#runner = runner;
    this.#mayRefuse = mayRefuse;
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'escape-')));
    chmodSync(this.folder, 0o777);
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

  async start(
    target: ToolTarget,
    args: unknown = {},
    policy: Policy = {},
  ): Promise<{ readonly report: Promise<RunReport>; readonly stop: () => void }> {
    const words = typeof args === 'object' && args !== null ? { token: this.token, ...args } : args;
    const base = await makeJob(target, words, { wallMs: CONTROL_MS_MAX });
    const confinement = this.isUnprotected
      ? { ...base.confinement, environment: { pass: [], set: policy.environment ?? {} } }
      : confine(base.confinement, policy);
    const onEgress = (record: EgressRecord): void => void this.egress.push(record);
    const remainingMs = confinement.limits.wallMs;
    const job: Job = { ...base, confinement, remainingMs, onEgress };
    const stop = (): void => base.halt({ status: 'killed', message: 'the test is over' });
    const choice = chooseRunner([this.#runner], job.target, confinement);
    if ('cause' in choice && this.tier !== 'process' && this.tier !== 'thread') {
      const report = this.#checkItRan(emptyReport(refused(choice.message)));
      return { report: Promise.resolve(report), stop };
    }
    return { report: this.#runner.run(job).then((report) => this.#checkItRan(report)), stop };
  }

  /** True when the call goes on after its deadline; it is stopped then. */
  async outlivesDeadline(
    target: ToolTarget,
    args: unknown = {},
    policy: Policy = {},
  ): Promise<boolean> {
    const wallMs = policy.limits?.wallMs ?? 700;
    const call = await this.start(target, args, {
      ...policy,
      limits: { ...policy.limits, wallMs },
    });
    let isOver = false;
    const over = call.report.then(() => {
      isOver = true;
    });
    await Promise.race([over, delay(wallMs + 1500)]);
    const outlived = !isOver || this.alive().length > 0;
    call.stop();
    await over;
    return outlived;
  }

  /** An attack that never ran contains nothing. */
  #checkItRan(report: RunReport): RunReport {
    const { end } = report;
    if (end.status === 'ok') return report;
    const isRefused = end.code === 'ENF_ISOLATION_UNAVAILABLE' && !this.#mayRefuse;
    if (isRefused || ['ENF_TOOL_LOAD', 'ENF_TOOL_EXPORT'].includes(end.code))
      throw new Error(`the attack did not run: ${end.message}`);
    return report;
  }

  /** Processes of the attack that still run, wherever they hide. */
  alive(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && commandLineOf(name).includes(this.token))
      .map(Number)
      .filter((pid) => pid !== process.pid && isRunning(pid));
  }

  /** Ends whatever a control left. */
  clean(): void {
    for (const pid of this.alive()) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
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

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
