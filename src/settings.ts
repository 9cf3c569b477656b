import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { EnforceError, isEnforceError } from './errors.ts';

/** How this installation runs, besides what policies say. Paths are absolute. */
export interface Settings {
  /** Directory of the audit trail. */
  readonly auditPath: string;
  readonly auditEnabled: boolean;
  readonly auditDurability: 'queue' | 'os' | 'disk';
  /** The kill switch file and shared counters; null: this process alone. */
  readonly stateDir: string | null;
  readonly logLevel: LogLevel;
}

/** Levels of the log on stderr. */
export type LogLevel = (typeof LOG_LEVELS)[number];

const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const FILE_NAME = 'enforcecore.config.yaml';
const FILE_BYTES_MAX = 65_536;
const PREFIX = 'ENFORCECORE_';
/** For the project's own tests; no setting of the product. */
const TEST_PREFIX = 'ENFORCECORE_TEST_';

const flag = z
  .union([z.boolean(), z.enum(['1', '0', 'true', 'false'])])
  .transform((value) => value === true || value === '1' || value === 'true');

const settingsSchema = z.strictObject({
  audit_path: z.string().min(1).optional(),
  audit_enabled: flag.optional(),
  audit_durability: z.enum(['queue', 'os', 'disk']).optional(),
  state_dir: z.string().min(1).optional(),
  log_level: z.enum(LOG_LEVELS).optional(),
});

const completeSettings = z.strictObject({
  auditPath: z.string().min(1),
  auditEnabled: z.boolean(),
  auditDurability: z.enum(['queue', 'os', 'disk']),
  stateDir: z.string().min(1).nullable(),
  logLevel: z.enum(LOG_LEVELS),
});

/**
 * Holds settings that a program made by itself to their shape: half of them would mean that audit is
 * off.
 *
 * @throws {EnforceError} `ENF_SETTINGS_INVALID` naming every key that is missing, unknown or malformed
 */
export function checkSettings(settings: unknown): asserts settings is Settings {
  const parsed = completeSettings.safeParse(settings);
  if (!parsed.success) throw badSettings(parsed.error, (key) => `settings: \`${key}\``);
}

/** Names of all settings, as the config file spells them. */
export const SETTING_NAMES: readonly string[] = Object.keys(settingsSchema.shape);

type Written = z.infer<typeof settingsSchema>;

/** Where settings are read from. */
export interface SettingsSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Must exist. Default: `enforcecore.config.yaml` in `cwd`, if it is there. */
  readonly configFile?: string | undefined;
}

/**
 * Settings from the environment (`ENFORCECORE_AUDIT_PATH` …), then the config file, then defaults.
 *
 * @throws {EnforceError} `ENF_SETTINGS_INVALID` naming the variable or key: unknown, or a bad value
 */
export async function loadSettings(sources: SettingsSources): Promise<Settings> {
  const fromFile = await readConfigFile(sources);
  const fromEnv = readEnvironment(sources);
  const written = { ...fromFile, ...fromEnv };
  return {
    auditPath: written.audit_path ?? join(stateHome(sources.env), 'enforcecore', 'audit'),
    auditEnabled: written.audit_enabled ?? true,
    auditDurability: written.audit_durability ?? 'os',
    stateDir: written.state_dir ?? null,
    logLevel: written.log_level ?? 'silent',
  };
}

/** @see XDG Base Directory Specification: state that persists, but is not worth a backup */
function stateHome(env: SettingsSources['env']): string {
  const given = env['XDG_STATE_HOME'];
  return given?.startsWith('/') ? given : join(homedir(), '.local', 'state');
}

function readEnvironment({ env, cwd }: SettingsSources): Written {
  const names = Object.keys(env).filter(
    (name) => name.startsWith(PREFIX) && !name.startsWith(TEST_PREFIX),
  );
  const values = Object.fromEntries(
    names.map((name) => [name.slice(PREFIX.length).toLowerCase(), env[name]]),
  );
  return parse(values, cwd, (key) => `environment variable \`${PREFIX}${key.toUpperCase()}\``);
}

async function readConfigFile({ cwd, configFile }: SettingsSources): Promise<Written> {
  const path = resolve(cwd, configFile ?? FILE_NAME);
  const text = await readBounded(path).catch((cause: NodeJS.ErrnoException) => {
    if (configFile === undefined && cause.code === 'ENOENT') return null;
    throw isEnforceError(cause)
      ? cause
      : invalid(`config file \`${path}\` cannot be read (${cause.code})`, cause);
  });
  if (text === null) return {};
  const values = parseYaml(text, path);
  return parse(values, dirname(path), (key) => `config file \`${path}\`${key && `: \`${key}\``}`);
}

/** Never waits for a pipe and never reads a device: the working directory may be anybody's. */
async function readBounded(path: string): Promise<string> {
  const facts = await stat(path);
  if (!facts.isFile()) throw invalid(`config file \`${path}\` is not a regular file`);
  if (facts.size > FILE_BYTES_MAX) {
    throw invalid(`config file \`${path}\` must be at most ${FILE_BYTES_MAX} bytes`);
  }
  return readFile(path, 'utf8');
}

function parseYaml(text: string, path: string): unknown {
  try {
    const document = parseDocument(text);
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    return document.toJS({ maxAliasCount: 0 }) ?? {};
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : 'unknown';
    throw invalid(`config file \`${path}\`: ${why}`, cause);
  }
}

function parse(values: unknown, folder: string, nameOf: (key: string) => string): Written {
  const parsed = settingsSchema.safeParse(values);
  if (!parsed.success) throw badSettings(parsed.error, nameOf);
  const { audit_path: auditPath, state_dir: stateDir, ...rest } = parsed.data;
  return {
    ...rest,
    ...(auditPath === undefined ? {} : { audit_path: resolve(folder, auditPath) }),
    ...(stateDir === undefined ? {} : { state_dir: resolve(folder, stateDir) }),
  };
}

function badSettings(error: z.ZodError, nameOf: (key: string) => string): EnforceError {
  return invalid(error.issues.map((issue) => describe(issue, nameOf)).join('; '));
}

function describe(issue: z.core.$ZodIssue, nameOf: (key: string) => string): string {
  if (issue.code === 'unrecognized_keys') {
    const known = SETTING_NAMES.join(', ');
    return `${issue.keys.map(nameOf).join(', ')}: no such setting; known are ${known}`;
  }
  return `${nameOf(issue.path.join('.'))}: ${issue.message}`;
}

function invalid(message: string, cause?: unknown): EnforceError {
  return new EnforceError('ENF_SETTINGS_INVALID', message, { cause });
}
