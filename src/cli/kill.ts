import { lstatSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { EnforceError } from '../errors.ts';
import { makeFolder } from '../make-folder.ts';
import { loadSettings } from '../settings.ts';
import { createKillSwitch } from '../usage/index.ts';
import { EXIT } from './exit-code.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** Options of the command. */
export interface KillFlags {
  readonly reason?: string;
  readonly reset?: boolean;
  readonly state?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** `enforcecore kill`: ends the calls of everybody who shares a state folder, and lets none start. */
export async function kill(flags: KillFlags, terminal: Terminal): Promise<number> {
  const { reason, reset } = flags;
  if (reset === true && reason !== undefined) {
    throw new EnforceError(
      'ENF_CLI_USAGE',
      '`--reason` is for tripping the switch, not for `--reset`',
    );
  }
  const file = await killFile(flags, terminal);
  const killSwitch = createKillSwitch({ file });
  try {
    const was = killSwitch.state.tripped;
    if (reset === true) killSwitch.reset(userName());
    else killSwitch.trip(reason ?? `enforcecore kill, by ${userName()}`);
    if (reset !== true && !exists(file)) throw notWritten(file);
    const { tripped, reason: why = null } = killSwitch.state;
    const report = { tripped, changed: was !== tripped, reason: why, file };
    terminal.out(flags.json === true ? `${JSON.stringify(report)}\n` : text(report));
    return EXIT.ok;
  } finally {
    killSwitch.close();
  }
}

/** A container may run as a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall !== 'uv_os_get_passwd') throw cause;
    return `user ${process.getuid?.() ?? 'unknown'}`;
  }
}

async function killFile({ state, config }: KillFlags, { env, cwd }: Terminal): Promise<string> {
  const settings = await loadSettings({ env, cwd, configFile: config, sharesState: true });
  const folder = state === undefined ? settings.stateDir : resolve(cwd, state);
  const file = join(folder ?? '', 'KILL');
  try {
    makeFolder(folder ?? '');
  } catch (cause) {
    throw notWritten(file, cause);
  }
  return file;
}

/** A trip that only holds in this process stops nobody. */
function notWritten(file: string, cause?: unknown): EnforceError {
  const message = `the kill file \`${file}\` cannot be written; calls go on`;
  return new EnforceError('ENF_KILL_FILE', message, { cause });
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

interface KillReport {
  readonly tripped: boolean;
  readonly changed: boolean;
  readonly reason: string | null;
  readonly file: string;
}

function text({ tripped, changed, reason, file }: KillReport): string {
  const where = `\`${oneLine(file)}\``;
  if (!tripped)
    return changed ? `reset: calls may start again (${where})\n` : `not tripped (${where})\n`;
  const head = changed ? 'tripped' : 'was tripped already';
  return `${head}: ${oneLine(reason ?? '')} (${where})\n`;
}
