import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ToolTarget } from '../../src/call.ts';
import type { RunReport } from '../../src/isolation/runner.ts';
import { type Attempt, type Policy, tool } from './attempt.ts';

/** A supervisor that can be attacked, or killed, without harm to the test. */
export interface Apart {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Settles when its runner has begun. */
  readonly started: Promise<void>;
  /** The report, or null when the supervisor did not live to give one. */
  readonly report: Promise<RunReport | null>;
}

/** Where {@link startApart} puts descriptors that the supervisor holds open. */
export const HELD_DESCRIPTOR = 30;

export interface ApartOptions {
  readonly policy?: Policy;
  /** A descriptor that the supervisor has open as {@link HELD_DESCRIPTOR}. */
  readonly held?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a call of an attempt under a supervisor of its own. */
export function startApart(
  on: Attempt,
  target: ToolTarget,
  args: Readonly<Record<string, unknown>>,
  { policy = {}, held, env = process.env }: ApartOptions = {},
): Apart {
  const words = jobText(on, target, args, policy);
  const more = held === undefined ? [] : [...Array(HELD_DESCRIPTOR - 3).fill('ignore'), held];
  const child = spawn(process.execPath, [tool('supervisor.mjs')], {
    // Not in its command line, where it would be taken for a process of the attack.
    env: { ...env, ESCAPE_JOB: words },
    stdio: ['ignore', 'pipe', 'inherit', ...more],
  });
  let text = '';
  let announce: () => void = () => {};
  const started = new Promise<void>((resolve) => {
    announce = resolve;
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes('started\n')) announce();
  });
  const report = once(child, 'close').then(() => {
    announce();
    const line = text.split('\n')[1] ?? '';
    return line === '' ? null : (JSON.parse(line) as RunReport);
  });
  return { pid: child.pid ?? 0, child, started, report };
}

/** What `tools/supervisor.mjs` reads from `ESCAPE_JOB`. */
export function jobText(
  on: Attempt,
  target: ToolTarget,
  args: Readonly<Record<string, unknown>>,
  policy: Policy = {},
): string {
  const confinement = on.confinementOf(policy);
  const job = {
    tier: on.isUnprotected ? 'process' : on.tier,
    target,
    args: { token: on.token, ...args },
    confinement: { ...confinement, explicit: [...confinement.explicit] },
  };
  return JSON.stringify(job, (_key, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? 'Infinity' : value,
  );
}
