import { resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import {
  type CallContext,
  createEnforcer,
  EnforceError,
  type Enforcer,
  loadSettings,
  type Outcome,
  type RunOptions,
  type Settings,
  type Tier,
  type ToolTarget,
} from '../index.ts';
import { type ArgumentOptions, readArguments } from './arguments.ts';
import { jsonLine } from './entry-line.ts';
import { EXIT, exitCodeOf } from './exit-code.ts';
import { parseDuration, parseSize } from './quantity.ts';
import { oneLine, printable, type Terminal } from './terminal.ts';

/** Options of the command. */
export interface RunFlags extends ArgumentOptions {
  readonly policy?: string;
  readonly export?: string;
  readonly name?: string;
  readonly agent?: string;
  readonly session?: string;
  readonly tenant?: string;
  readonly timeout?: string;
  readonly memory?: string;
  readonly isolation?: string;
  /** Directory; false for `--no-audit`. */
  readonly audit?: string | boolean;
  readonly state?: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** What the command line said. */
export interface RunInput {
  readonly tool: string | undefined;
  /** Words after `--`. */
  readonly command: readonly string[] | null;
  readonly options: RunFlags;
}

/** `enforcecore run`: one call, its value on stdout, everything else on stderr. */
export async function run(
  { tool, command, options }: RunInput,
  terminal: Terminal,
): Promise<number> {
  const target = targetOf(tool, command, options, terminal);
  const limits = { ...limitsOf(options), context: contextOf(options) };
  const args = await readArguments(options, terminal);
  const settings = await settingsFor(options, terminal);
  const warn = (text: string): void => {
    if (options.quiet !== true) terminal.err(`enforcecore: ${text}\n`);
  };
  if (options.policy === undefined) {
    warn('no --policy given: default.yaml applies (no network, no writes, 30 s, 256 MB)');
  }
  if (!settings.auditEnabled) warn('audit is off: this call leaves no record');
  const enforcer = await createEnforcer({
    ...(options.policy === undefined ? {} : { policy: resolve(terminal.cwd, options.policy) }),
    settings,
    logger: loggerFor(settings),
    pool: false,
  });
  if (options.session === undefined && (enforcer.policy.document.sequence_rules ?? []).length > 0) {
    warn('the policy has `sequence_rules` and no --session is given: such calls share one session');
  }
  const { outcome, signal } = await callOnce(enforcer, target, args, limits, terminal, options);
  if (outcome.isolation.unenforced.length > 0) {
    const { tier, unenforced } = outcome.isolation;
    warn(`tier \`${tier}\` does not enforce: ${unenforced.join(', ')}`);
  }
  show(outcome, options, terminal);
  return signal === null ? exitCodeOf(outcome) : EXIT[signal];
}

function targetOf(
  tool: string | undefined,
  command: readonly string[] | null,
  options: RunFlags,
  { cwd }: Terminal,
): ToolTarget {
  if (command !== null) {
    const [program, ...words] = command;
    if (program === undefined) throw usage('a command must follow `--`');
    if (tool !== undefined) throw usage('give a tool or a command after `--`, not both');
    if (options.export !== undefined) throw usage('`--export` is for modules, not for commands');
    return { command: [program, ...words] };
  }
  if (tool === undefined) throw usage('give the path of a tool, or a command after `--`');
  if (/\.[cm]?ts$/.test(tool) && !stripsTypes()) {
    throw usage(
      `\`${tool}\` is TypeScript, which Node ${process.version} does not run; compile it, or use Node 22.18 or newer`,
    );
  }
  const module = resolve(cwd, tool);
  return options.export === undefined ? module : { module, export: options.export };
}

/** Workers run on this Node, without its options. */
function stripsTypes(): boolean {
  return 'typescript' in process.features && process.features.typescript !== false;
}

function limitsOf({ timeout, memory, isolation, name }: RunFlags): RunOptions {
  return {
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout) }),
    ...(memory === undefined ? {} : { memoryBytes: parseSize(memory) }),
    // An unknown tier is refused with the list of those there are.
    ...(isolation === undefined ? {} : { isolation: isolation as Tier }),
    ...(name === undefined ? {} : { tool: name }),
  };
}

function contextOf({ agent, session, tenant }: RunFlags): CallContext {
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(session === undefined ? {} : { session }),
    ...(tenant === undefined ? {} : { tenant }),
  };
}

async function settingsFor(
  { audit, state, config, verbose }: RunFlags,
  { env, cwd }: Terminal,
): Promise<Settings> {
  const settings = await loadSettings({ env, cwd, configFile: config, sharesState: true });
  return {
    ...settings,
    ...(audit === false ? { auditEnabled: false } : {}),
    ...(typeof audit === 'string' ? { auditPath: resolve(cwd, audit), auditEnabled: true } : {}),
    ...(state === undefined ? {} : { stateDir: resolve(cwd, state) }),
    ...(verbose === true && settings.logLevel === 'silent' ? { logLevel: 'debug' } : {}),
  };
}

/** Synchronous, on stderr: stdout belongs to the value, and no line may be lost at exit. */
function loggerFor({ logLevel }: Settings): Logger {
  return pino({ level: logLevel }, pino.destination({ dest: 2, sync: true }));
}

/** Ctrl-C ends the tool and still writes the outcome. */
async function callOnce(
  enforcer: Enforcer,
  target: ToolTarget,
  args: unknown,
  limits: RunOptions,
  terminal: Terminal,
  { quiet }: RunFlags,
): Promise<{ readonly outcome: Outcome; readonly signal: 'SIGINT' | 'SIGTERM' | null }> {
  const interrupt = new AbortController();
  let received: 'SIGINT' | 'SIGTERM' | null = null;
  const forget = terminal.onInterrupt((signal) => {
    received ??= signal;
    interrupt.abort(new Error(`interrupted by ${signal}`));
  });
  const onLog = (message: string): void => {
    if (quiet !== true) terminal.err(`${printable(message)}\n`);
  };
  const onProgress = (done: number, total: number): void => {
    if (quiet !== true) terminal.err(`progress: ${done} of ${total}\n`);
  };
  try {
    const call = { ...limits, signal: interrupt.signal, onLog, onProgress };
    const outcome = await enforcer.run(target, args, call);
    return { outcome, signal: received };
  } finally {
    forget();
    await enforcer.close({ graceMs: 0 });
  }
}

function show(outcome: Outcome, { json, quiet }: RunFlags, terminal: Terminal): void {
  if (json === true) {
    terminal.out(jsonLine(outcome));
    return;
  }
  if (quiet !== true) {
    terminal.err(asLines(printable(outcome.stdout)));
    terminal.err(asLines(printable(outcome.stderr)));
  }
  if (outcome.status === 'ok') showValue(outcome.value, terminal);
  else showFailure(outcome, terminal);
}

/** What comes next must not begin in the middle of a line of the tool's. */
function asLines(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function showValue(value: unknown, { out, isOutTerminal }: Terminal): void {
  if (value === undefined) return;
  if (typeof value !== 'string') out(jsonLine(value));
  else out(asLines(isOutTerminal ? printable(value) : value) || '\n');
}

function showFailure(
  { status, error }: Extract<Outcome, { error: EnforceError }>,
  terminal: Terminal,
): void {
  terminal.err(`enforcecore: ${status}: ${oneLine(error.message)}\n`);
  const { cause, remedy } = error.details;
  if (status !== 'isolation-unavailable') return;
  if (typeof cause === 'string') terminal.err(`  cause: ${oneLine(cause)}\n`);
  if (typeof remedy === 'string') terminal.err(`  remedy: ${oneLine(remedy)}\n`);
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', `${message}; see \`enforcecore run --help\``);
}
