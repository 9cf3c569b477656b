import { createHash } from 'node:crypto';
import { homedir, tmpdir } from 'node:os';
import { buildEnvironment } from './environment.ts';
import type { WorkerSpec } from './runner.ts';

/** What a worker is started from besides its tool and policy. */
export interface StartConditions {
  readonly tier: string;
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

/**
 * Names everything a worker's start depends on: two calls may use the same prepared worker only if
 * this is the same. The whole confinement is in it but the wall clock, which is each call's own, so a
 * new key of the policy can never be forgotten here; of the environment only what passes. It is a
 * digest, and keeps no value of a variable.
 *
 * @returns null for what cannot be prepared: a command runs from the moment it is started
 */
export function workerPoolKey(
  { target, confinement }: WorkerSpec,
  { tier, inherited }: StartConditions,
): string | null {
  const { identity } = target;
  if (target.kind !== 'module' || identity.sha256 === undefined) return null;
  const { wallMs: _own, ...limits } = confinement.limits;
  const facts = {
    tier,
    // Not the export: it is named at the start of the call.
    module: [target.module, identity.path, identity.sha256],
    confinement: { ...confinement, limits, explicit: [...confinement.explicit].sort() },
    environment: buildEnvironment(confinement.environment, inherited, ''),
    folders: [homedir(), tmpdir()],
    user: [process.getuid?.() ?? null, process.getgid?.() ?? null],
  };
  return createHash('sha256').update(JSON.stringify(facts, withInfinity)).digest('hex');
}

/** `JSON.stringify` writes `Infinity` as null. */
function withInfinity(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? `${value}` : value;
}
