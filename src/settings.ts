import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { EnforceError } from './errors.ts';

/** How this installation runs, besides what policies say. Paths are absolute. */
export interface Settings {
  /** Directory of the audit trail. */
  readonly auditPath: string;
  readonly auditEnabled: boolean;
  readonly auditDurability: 'queue' | 'os' | 'disk';
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

const settingsSchema = z.strictObject({
  audit_path: z.string().min(1).optional(),
  audit_enabled: flag.optional(),
  audit_durability: z.enum(['queue', 'os', 'disk']).optional(),
  state_dir: z.string().min(1).optional(),
  base_policy: z.string().min(1).optional(),
  log_level: z.enum(LOG_LEVELS).optional(),
});

const PATH_SETTINGS = ['audit_path', 'state_dir', 'base_policy'] as const;
/** Holds for every user of a machine whose administrator put it there. */
const SYSTEM_BASE_POLICY = '/etc/enforcecore/base.yaml';

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
    basePolicy: written.base_policy ?? (await systemBasePolicy()),
    logLevel: written.log_level ?? 'silent',
  };
}

/** @see XDG Base Directory Specification: state that persists, but is not worth a backup */
function stateHome(env: SettingsSources['env']): string {
  const given = env['XDG_STATE_HOME'];
  return given?.startsWith('/') ? given : join(homedir(), '.local', 'state');
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
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (configFile === undefined && cause.code === 'ENOENT') return null;
    throw invalid(`config file \`${path}\` cannot be read (${cause.code})`, cause);
  });
  if (text === null) return {};
  if (text.length > FILE_BYTES_MAX) {
    throw invalid(`config file \`${path}\` must be at most ${FILE_BYTES_MAX} bytes`);
  }
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw invalid(`config file \`${path}\`: ${problem.message.split('\n')[0]}`, problem);
  }
  const values: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  return parse(values, dirname(path), (key) => `config file \`${path}\`: \`${key}\``);
}

function parse(values: unknown, folder: string, nameOf: (key: string) => string): Written {
  const parsed = settingsSchema.safeParse(values);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => describe(issue, nameOf));
    throw invalid(issues.join('; '));
  }
  const paths = PATH_SETTINGS.flatMap((name) => {
    const path = parsed.data[name];
    return path === undefined ? [] : [[name, resolve(folder, path)] as const];
  });
  return { ...parsed.data, ...Object.fromEntries(paths) };
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
