import { arch, platform, release } from 'node:os';
import { resolve } from 'node:path';
import type { Tier } from '../call.ts';
import { PolicyError } from '../errors.ts';
import { openHostTiers } from '../isolation/index.ts';
import { loadPolicy, shippedDefault } from '../policy/index.ts';
import { loadSettings, type SettingOrigin, type Settings, settingOrigins } from '../settings.ts';
import { EXIT } from './exit-code.ts';
import { painter } from './style.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { hanging, pairs } from './text-layout.ts';
import { packageVersion } from './version.ts';

/** Options of the command. */
export interface InfoFlags {
  readonly policy?: string;
  readonly config?: string;
  readonly json?: boolean;
}

interface TierReport {
  readonly tier: Tier | 'none';
  readonly works: boolean;
  readonly layers: readonly string[];
  readonly cause: string | null;
  readonly remedy: string | null;
}

/** What `--json` prints. */
interface Info {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly settings: Readonly<Record<string, { readonly value: unknown } & SettingOrigin>>;
  readonly policy: {
    readonly file: string;
    readonly name: string | null;
    readonly digest: string | null;
    readonly problem: string | null;
  };
  readonly tiers: readonly TierReport[];
  readonly warnings: readonly string[];
}

/** `enforcecore info`: what is in force here, and where each of it comes from. */
export async function info(flags: InfoFlags, terminal: Terminal): Promise<number> {
  const { env, cwd } = terminal;
  const sources = { env, cwd, configFile: flags.config, sharesState: true };
  const settings = await loadSettings(sources);
  const origins = await settingOrigins(sources);
  const report: Info = {
    version: packageVersion(),
    node: process.version,
    platform: `${platform()} ${release()} ${arch()}`,
    settings: withOrigins(settings, origins),
    policy: await policyInUse(flags, settings, cwd),
    tiers: await tiersHere(),
    warnings: warningsOf(settings),
  };
  terminal.out(flags.json === true ? `${JSON.stringify(report)}\n` : text(report, terminal));
  return EXIT.ok;
}

function withOrigins(
  settings: Settings,
  origins: Readonly<Record<keyof Settings, SettingOrigin>>,
): Info['settings'] {
  const entries = Object.entries(settings).map(([key, value]) => [
    key,
    { value, ...origins[key as keyof Settings] },
  ]);
  return Object.fromEntries(entries);
}

async function policyInUse(
  { policy }: InfoFlags,
  { basePolicy }: Settings,
  cwd: string,
): Promise<Info['policy']> {
  const file = policy === undefined ? shippedDefault() : resolve(cwd, policy);
  try {
    const base = basePolicy === null ? {} : { base: basePolicy };
    const { name, digest } = await loadPolicy(file, base);
    return { file, name, digest, problem: null };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { file, name: null, digest: null, problem: error.message };
  }
}

async function tiersHere(): Promise<readonly TierReport[]> {
  const { runners, shortfalls } = await openHostTiers([]);
  const reports: readonly TierReport[] = [
    ...runners.map(({ tier, layers }) => ({
      tier,
      works: true,
      layers,
      cause: null,
      remedy: null,
    })),
    ...shortfalls.map(({ tier, cause, remedy }) => ({
      tier,
      works: false,
      layers: [],
      cause,
      remedy,
    })),
  ];
  await Promise.all(runners.map((runner) => runner.close()));
  return reports;
}

function warningsOf({ auditEnabled, auditKey, stateDir }: Settings): readonly string[] {
  return [
    ...(auditEnabled ? [] : ['audit is off: calls leave no record']),
    ...(auditEnabled && auditKey === null
      ? [
          'the trail is unsigned: a rewrite by whoever can write its files cannot be detected; make a key with `enforcecore audit keygen` and set `audit_key`',
        ]
      : []),
    ...(stateDir === null ? ['no state folder: limits hold within one process only'] : []),
  ];
}

function text(report: Info, terminal: Terminal): string {
  const { columns } = terminal;
  const paint = painter(terminal, 'out');
  const { version, node, platform: system, policy, warnings } = report;
  const head = [
    ['enforcecore', version],
    ['node', node],
    ['platform', system],
    ['policy', policyText(policy)],
  ] as const;
  const tiers = report.tiers.map((tier) => [tier.tier, tierText(tier)] as const);
  const settings = Object.entries(report.settings).map(
    ([key, setting]) => [key, settingText(setting)] as const,
  );
  const title = (words: string): string => `\n${paint('strong', words)}\n`;
  return [
    pairs(head, { columns }),
    title('tiers'),
    pairs(tiers, { indent: 2, columns }),
    title('settings'),
    pairs(settings, { indent: 2, columns }),
    ...warnings.map(
      (warning) => `\n${paint('warning', 'warning')}: ${hanging(warning, 9, columns)}\n`,
    ),
  ].join('');
}

function policyText({ file, name, problem }: Info['policy']): string {
  return oneLine(problem === null ? `${name} (${file})` : `cannot be used: ${problem}`);
}

function tierText({ works, layers, cause, remedy }: TierReport): string {
  if (works) return oneLine(`works: ${layers.join(', ')}`);
  return oneLine(`no: ${cause}; ${remedy}`);
}

function settingText({ value, from, name }: { readonly value: unknown } & SettingOrigin): string {
  return oneLine(`${String(value)}  (${name ?? from})`);
}
