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
  /** File of the key that signs the trail; null: keyless. */
  readonly auditKey: string | null;
  /** A segment of this size is followed by a new one; null: never. */
  readonly auditRotateBytes: number | null;
  /** Segments closed longer ago than this are removed; null: never. */
  readonly auditRetainMs: number | null;
  /** Closed segments are compressed. */
  readonly auditCompress: boolean;
  /** The kill switch file and shared counters; null: this process alone. */
  readonly stateDir: string | null;
  /** The operator's floor under every policy; null: none. */
  readonly basePolicy: string | null;
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

/** Environment variables are text. */
const positive = z.coerce.number().positive().max(1e9);

const settingsSchema = z.strictObject({
  audit_path: z.string().min(1).optional(),
  audit_enabled: flag.optional(),
  audit_durability: z.enum(['queue', 'os', 'disk']).optional(),
  audit_key: z.string().min(1).optional(),
  audit_rotate_mb: positive.optional(),
  audit_retain_days: positive.optional(),
  audit_compress: flag.optional(),
  state_dir: z.string().min(1).optional(),
  base_policy: z.string().min(1).optional(),
  log_level: z.enum(LOG_LEVELS).optional(),
});

const completeSettings = z.strictObject({
  auditPath: z.string().min(1),
  auditEnabled: z.boolean(),
  auditDurability: z.enum(['queue', 'os', 'disk']),
  auditKey: z.string().min(1).nullable(),
  auditRotateBytes: z.number().positive().nullable(),
  auditRetainMs: z.number().positive().nullable(),
  auditCompress: z.boolean(),
  stateDir: z.string().min(1).nullable(),
  basePolicy: z.string().min(1).nullable(),
  logLevel: z.enum(LOG_LEVELS),
});

const PATH_SETTINGS = ['audit_path', 'audit_key', 'state_dir', 'base_policy'] as const;
/** Holds for every user of a machine whose administrator put it there. */
const SYSTEM_BASE_POLICY = '/etc/enforcecore/base.yaml';
const MS_PER_DAY = 24 * 3600 * 1000;

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
  /** Use the user's state folder where no other is set, so that command lines share limits. */
  readonly sharesState?: boolean;
}

/** Where a setting comes from: a variable, a key of the config file, the system, or nowhere. */
export interface SettingOrigin {
  readonly from: 'environment' | 'file' | 'system' | 'default';
  /** The variable, or the absolute path of the file. */
  readonly name?: string;
}

/** Names of settings as the config file spells them, and as {@link Settings} does. */
const FIELDS: Readonly<Record<keyof Written, keyof Settings>> = {
  audit_path: 'auditPath',
  audit_enabled: 'auditEnabled',
  audit_durability: 'auditDurability',
  audit_key: 'auditKey',
  audit_rotate_mb: 'auditRotateBytes',
  audit_retain_days: 'auditRetainMs',
  audit_compress: 'auditCompress',
  state_dir: 'stateDir',
  base_policy: 'basePolicy',
  log_level: 'logLevel',
};

/**
 * Where each setting of `loadSettings` comes from.
 *
 * @throws {EnforceError} `ENF_SETTINGS_INVALID`, as `loadSettings` does
 */
export async function settingOrigins(
  sources: SettingsSources,
): Promise<Readonly<Record<keyof Settings, SettingOrigin>>> {
  const fromFile = await readConfigFile(sources);
  const fromEnv = readEnvironment(sources);
  const file = resolve(sources.cwd, sources.configFile ?? FILE_NAME);
  const hasSystemBase = (await systemBasePolicy()) !== null;
  const originOf = (key: keyof Written): SettingOrigin => {
    const variable = `${PREFIX}${key.toUpperCase()}`;
    if (fromEnv[key] !== undefined) return { from: 'environment', name: variable };
    if (fromFile[key] !== undefined) return { from: 'file', name: file };
    const isSystem = key === 'base_policy' && hasSystemBase;
    return isSystem ? { from: 'system', name: SYSTEM_BASE_POLICY } : { from: 'default' };
  };
  const keys = Object.keys(FIELDS) as (keyof Written)[];
  return Object.fromEntries(keys.map((key) => [FIELDS[key], originOf(key)])) as Readonly<
    Record<keyof Settings, SettingOrigin>
  >;
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
    auditKey: written.audit_key ?? null,
    auditRotateBytes: scaled(written.audit_rotate_mb, 2 ** 20),
    auditRetainMs: scaled(written.audit_retain_days, MS_PER_DAY),
    auditCompress: written.audit_compress ?? true,
    stateDir: written.state_dir ?? (sources.sharesState === true ? sharedState(sources.env) : null),
    basePolicy: written.base_policy ?? (await systemBasePolicy()),
    logLevel: written.log_level ?? 'silent',
  };
}

function scaled(value: number | undefined, factor: number): number | null {
  return value === undefined ? null : value * factor;
}

/** Only a file of root's that nobody else may write is the administrator's word. */
async function systemBasePolicy(): Promise<string | null> {
  const facts = await stat(SYSTEM_BASE_POLICY).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return null;
    throw invalid(`\`${SYSTEM_BASE_POLICY}\` cannot be looked at (${cause.code})`, cause);
  });
  if (facts === null) return null;
  if (facts.isFile() && facts.uid === 0 && (facts.mode & 0o022) === 0) return SYSTEM_BASE_POLICY;
  throw invalid(`\`${SYSTEM_BASE_POLICY}\` must be a file of root that nobody else may write`);
}

function sharedState(env: SettingsSources['env']): string {
  return join(stateHome(env), 'enforcecore', 'state');
}

/** Folder of the user's state: `$XDG_STATE_HOME`, or its default. @see XDG Base Directory Specification */
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
  const paths = PATH_SETTINGS.flatMap((name) => {
    const path = parsed.data[name];
    return path === undefined ? [] : [[name, resolve(folder, path)] as const];
  });
  return { ...parsed.data, ...Object.fromEntries(paths) };
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
