import { type Confinement, TIERS, type Tier } from '../call.ts';
import type { Shortfall } from './host-support-error.ts';
import type { Runner } from './runner.ts';
import type { ResolvedTarget } from './tool-target.ts';

/** A runner that meets the policy, or why none does. */
export type RunnerChoice =
  | {
      readonly runner: Runner;
      /** Defaults of the policy that this runner cannot enforce. */
      readonly unenforced: readonly string[];
    }
  | { readonly message: string; readonly cause: string; readonly remedy: string };

/** A tier that does not work on this host, and why. */
export interface TierShortfall extends Shortfall {
  readonly tier: Tier;
}

/** When a policy key restricts anything at all: `unlimited` and `unrestricted` need no enforcement. */
const RESTRICTS: Readonly<Record<string, (confinement: Confinement) => boolean>> = {
  'resource_limits.max_call_duration_seconds': ({ limits }) => Number.isFinite(limits.wallMs),
  'resource_limits.max_cpu_seconds': ({ limits }) => Number.isFinite(limits.cpuMs),
  'resource_limits.max_memory_mb': ({ limits }) => Number.isFinite(limits.memoryBytes),
  'resource_limits.max_processes': ({ limits }) => Number.isFinite(limits.processesMax),
  'resource_limits.max_open_files': ({ limits }) => Number.isFinite(limits.openFilesMax),
  'resource_limits.max_file_size_mb': ({ limits }) => Number.isFinite(limits.fileSizeBytes),
  'resource_limits.max_disk_mb': ({ limits }) => Number.isFinite(limits.diskBytes),
  'resource_limits.max_output_size_bytes': ({ limits }) => Number.isFinite(limits.outputBytes),
  environment: () => true,
  filesystem: () => true,
  network: ({ network }) => network !== 'unrestricted',
  'isolation.exec': ({ isolation }) => isolation.exec === 'none',
  'isolation.profile': ({ isolation }) => isolation.profile !== 'off',
  'isolation.level': ({ isolation }) => isolation.level !== 'auto',
  'isolation.min': ({ isolation }) => isolation.min !== 'thread',
  'isolation.require': ({ isolation }) => isolation.require.length > 0,
};

/** Met by choosing the runner; only a function of this process has no tier to choose. */
const MET_BY_CHOICE = ['isolation.level', 'isolation.min', 'isolation.require'];

/**
 * The strongest runner that meets what the policy demands. Never a weaker one: when none does, the
 * call is refused with the cause and the remedy. Pure.
 *
 * @param runners - those that work on this host; or only the one for functions of this process
 * @param shortfalls - why other tiers do not work here
 */
export function chooseRunner(
  runners: readonly Runner[],
  target: ResolvedTarget,
  confinement: Confinement,
  shortfalls: readonly TierShortfall[] = [],
): RunnerChoice {
  const inProcess = runners.find((runner) => runner.tier === 'none');
  if (inProcess !== undefined) return checkKeys(inProcess, confinement);
  const { level, min, require } = confinement.isolation;
  const floor = level === 'auto' ? min : level;
  const candidates = runners
    .filter((runner) => (level === 'auto' ? runner.tier !== 'thread' : runner.tier === level))
    .map((runner) => ({ runner, gap: runner.unsuited?.(target, confinement) ?? null }));
  const suited = candidates.filter(({ gap }) => gap === null).map(({ runner }) => runner);
  const [best] = suited.sort((a, b) => rank(b.tier) - rank(a.tier));
  if (best === undefined || rank(best.tier) < rank(min)) {
    const gap =
      candidates.find(({ runner, gap }) => gap !== null && rank(runner.tier) >= rank(floor))?.gap ??
      shortfalls.find(({ tier }) => rank(tier) >= rank(floor));
    const wanted = level === 'auto' ? `${min}\` or a stronger one` : `${level}\``;
    return unmet(`tier \`${wanted} is needed`, gap ?? strongestHere(best));
  }
  const missing = require.filter((layer) => !best.layers.includes(layer));
  if (missing.length > 0) {
    return refusal(
      `layers ${quoted(missing)} are required`,
      `tier \`${best.tier}\` does not have them here`,
    );
  }
  return checkKeys(best, confinement);
}

function checkKeys(runner: Runner, confinement: Confinement): RunnerChoice {
  const unenforced = Object.entries(RESTRICTS)
    .filter(([key, restricts]) => !isEnforced(runner, key) && restricts(confinement))
    .map(([key]) => key);
  const demanded = unenforced.filter((key) => confinement.explicit.has(key));
  if (demanded.length === 0) return { runner, unenforced };
  return refusal(
    `the policy sets ${quoted(demanded)}`,
    `tier \`${runner.tier}\` cannot enforce ${demanded.length === 1 ? 'it' : 'them'}`,
  );
}

function isEnforced(runner: Runner, key: string): boolean {
  return runner.enforces.has(key) || (runner.tier !== 'none' && MET_BY_CHOICE.includes(key));
}

function rank(tier: Tier | 'none'): number {
  return tier === 'none' ? -1 : TIERS.indexOf(tier);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function strongestHere(best: Runner | undefined): Shortfall {
  return {
    cause: `strongest here is \`${best?.tier ?? 'none'}\``,
    remedy: 'ask for a tier that works here, or run where this one does',
  };
}

function unmet(needed: string, { cause, remedy }: Shortfall): RunnerChoice {
  return { message: `${needed}, but ${cause}`, cause, remedy };
}

function refusal(needed: string, cause: string): RunnerChoice {
  const remedy = 'remove the demand from the policy, or run where it can be enforced';
  return unmet(needed, { cause, remedy });
}
