import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type AuditTrail, openTrail, type TrailOptions } from '../audit/index.ts';
import { openHostTiers, sweepScratch } from '../isolation/index.ts';
import type { Policy } from '../policy/index.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { createKillSwitch, fileStore, memoryStore, type StateStore } from '../usage/index.ts';
import { CallEnforcer } from './call-enforcer.ts';
import type { Enforcer } from './enforcer.ts';
import { checkEnforcerOptions, type EnforcerOptions, poolBounds } from './enforcer-options.ts';
import { policyFrom, refuseOverlap, requireNoTrail } from './policy-source.ts';

/**
 * Makes an enforcer: loads the policy, opens the audit trail, finds out what this host can enforce.
 *
 * @throws {EnforceError} `ENF_CALL_ARGUMENT`, `ENF_POLICY_*`, `ENF_AUDIT_*`, `ENF_SETTINGS_INVALID`
 */
export async function createEnforcer(options: EnforcerOptions = {}): Promise<Enforcer> {
  checkEnforcerOptions(options);
  const sources = { env: process.env, cwd: process.cwd() };
  const settings = options.settings ?? (await loadSettings(sources));
  const policy = await policyFrom(options.policy, settings.basePolicy);
  await sweepScratch(tmpdir(), isAlive);
  const trail = await openAudit(policy, settings, options.audit);
  const { stateDir } = settings;
  const held = protectedPaths(policy, settings, trail);
  await refuseOverlapOrClose(policy, held, trail);
  const killFile = stateDir === null ? {} : { file: join(stateDir, 'KILL') };
  return new CallEnforcer({
    policy,
    trail,
    patterns: options.patterns,
    rules: options.rules ?? [],
    basePolicy: settings.basePolicy,
    store: options.store ?? storeIn(stateDir),
    logger: options.logger ?? pino({ level: 'silent' }),
    killSwitch: createKillSwitch(killFile),
    protectedPaths: held,
    tiers: await openHostTiers(held, poolBounds(options.pool)),
  });
}

async function openAudit(
  policy: Policy,
  settings: Settings,
  audit: EnforcerOptions['audit'],
): Promise<AuditTrail | null> {
  if (audit === false || (audit === undefined && !settings.auditEnabled)) {
    requireNoTrail(policy);
    return null;
  }
  return openTrail(audit ?? trailOptionsOf(settings));
}

async function refuseOverlapOrClose(
  policy: Policy,
  held: readonly string[],
  trail: AuditTrail | null,
): Promise<void> {
  try {
    refuseOverlap(policy, held);
  } catch (cause) {
    await trail?.close();
    throw cause;
  }
}

function trailOptionsOf(settings: Settings): TrailOptions {
  const { auditKey, auditRotateBytes, auditRetainMs } = settings;
  return {
    path: settings.auditPath,
    durability: settings.auditDurability,
    compress: settings.auditCompress,
    ...(auditKey === null ? {} : { key: auditKey }),
    ...(auditRotateBytes === null ? {} : { rotateBytes: auditRotateBytes }),
    ...(auditRetainMs === null ? {} : { retainMs: auditRetainMs }),
  };
}

/** Without a state folder limits hold in this process; with one, in all that share it. */
function storeIn(stateDir: string | null): StateStore {
  return stateDir === null ? memoryStore() : fileStore(join(stateDir, 'counters'));
}

/** What no tool may read, whatever its policy grants. */
function protectedPaths(
  { files }: Policy,
  { stateDir, auditKey }: Settings,
  trail: AuditTrail | null,
): readonly string[] {
  const folders = [trail?.path ?? null, stateDir, auditKey].filter((path) => path !== null);
  return [...files, ...folders];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}
