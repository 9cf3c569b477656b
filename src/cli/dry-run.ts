import { resolve } from 'node:path';
import { createDryRun, type DryRun } from '../enforce/index.ts';
import { EnforceError, isEnforceError } from '../errors.ts';
import { loadSettings } from '../settings.ts';
import { readArguments } from './arguments.ts';
import {
  callText,
  DryRunSummary,
  isChanged,
  type JudgedCall,
  summaryText,
  verdictOf,
} from './dry-run-report.ts';
import { jsonLine } from './entry-line.ts';
import { EXIT } from './exit-code.ts';
import { parseDuration } from './quantity.ts';
import { type RecordedCall, recordedCalls } from './recorded-calls.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** Options of the command. */
export interface DryRunFlags {
  readonly calls?: string;
  readonly tool?: string;
  readonly args?: string;
  readonly interval?: string;
  readonly against?: string;
  readonly failOn?: readonly FailOn[];
  readonly config?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What ends a dry run with exit code 1. `blocked` is `denied`; `changed` is for `--against`. */
export const FAIL_ON = ['denied', 'blocked', 'wouldDeny', 'changed'] as const;
export type FailOn = (typeof FAIL_ON)[number];

/** Names of keys that were left alone; who records calls has few. */
const IGNORED_MAX = 20;

/** A line that is no call. Never quotes it. */
interface BadLine {
  readonly line: number;
  readonly problem: string;
}

/** `enforcecore dry-run`: what a policy would say about calls, and what it comes to. */
export async function dryRun(
  policy: string,
  flags: DryRunFlags,
  terminal: Terminal,
): Promise<number> {
  const calls = callsOf(flags, terminal);
  const trials = await openTrials(policy, flags, terminal);
  const summary = new DryRunSummary();
  const ignored = new Set<string>();
  for await (const recorded of calls) {
    const judged = await judge(recorded, trials);
    if ('problem' in judged) {
      summary.badLines += 1;
      tellBadLine(judged, flags, terminal);
    } else {
      if ('call' in recorded && recorded.call.at === undefined) summary.untimed += 1;
      noteIgnored(ignored, recorded);
      summary.add(judged);
      tellCall(judged, flags, terminal);
    }
    // Whoever reads may be slow, or have enough, as `head` has.
    if (!(await terminal.canWrite())) break;
  }
  tellIgnored(ignored, terminal);
  tellEnd(summary, trials, flags, terminal);
  if (summary.badLines > 0) return EXIT.usage;
  return isFailed(summary, flags.failOn ?? []) ? EXIT.tool : EXIT.ok;
}

function callsOf(
  { calls, tool, args, against, failOn = [] }: DryRunFlags,
  terminal: Terminal,
): AsyncIterable<RecordedCall> {
  if (failOn.includes('changed') && against === undefined) {
    throw usage('`--fail-on changed` needs `--against`');
  }
  if (calls !== undefined) {
    if (tool !== undefined || args !== undefined) {
      throw usage('give `--calls`, or `--tool` with `--args`, not both');
    }
    return recordedCalls(calls, terminal);
  }
  if (tool === undefined) throw usage('give `--calls` with a file, or `--tool` with `--args`');
  return singleCall(tool, args, terminal);
}

async function* singleCall(
  tool: string,
  args: string | undefined,
  terminal: Terminal,
): AsyncGenerator<RecordedCall> {
  yield { line: 1, call: { tool, args: await readArguments({ args }, terminal) }, ignored: [] };
}

/** The policy and, where two are compared, the one before. */
interface Trials {
  readonly now: DryRun;
  readonly before: DryRun | null;
}

async function openTrials(
  policy: string,
  { against, interval, config }: DryRunFlags,
  { env, cwd }: Terminal,
): Promise<Trials> {
  const settings = await loadSettings({ env, cwd, configFile: config });
  const intervalMs = interval === undefined ? 0 : parseDuration(interval, '--interval');
  const open = (file: string): Promise<DryRun> =>
    createDryRun(resolve(cwd, file), { settings, intervalMs });
  return { now: await open(policy), before: against === undefined ? null : await open(against) };
}

async function judge(
  recorded: RecordedCall,
  { now, before }: Trials,
): Promise<JudgedCall | BadLine> {
  if ('problem' in recorded) return recorded;
  const { line, call } = recorded;
  try {
    const result = await now.judge(call);
    return before === null ? { line, result } : { line, result, before: await before.judge(call) };
  } catch (cause) {
    if (!isEnforceError(cause) || cause.code !== 'ENF_CALL_ARGUMENT') throw cause;
    return { line, problem: cause.message };
  }
}

function noteIgnored(names: Set<string>, recorded: RecordedCall): void {
  if (!('ignored' in recorded)) return;
  for (const name of recorded.ignored) if (names.size < IGNORED_MAX) names.add(name);
}

function tellCall(judged: JudgedCall, { json, quiet }: DryRunFlags, terminal: Terminal): void {
  if (quiet === true || (judged.before !== undefined && !isChanged(judged))) return;
  terminal.out(json === true ? jsonLine(lineOf(judged)) : callText(judged, terminal));
}

function lineOf({ line, result, before }: JudgedCall): object {
  const { tool, decision, redactions, at } = result;
  const was =
    before === undefined
      ? {}
      : { before: { verdict: verdictOf(before.decision), reasons: before.decision.reasons } };
  const { reasons } = decision;
  return {
    type: 'call',
    line,
    tool,
    verdict: verdictOf(decision),
    reasons,
    redactions,
    at,
    ...was,
  };
}

function tellBadLine(bad: BadLine, { json }: DryRunFlags, { out, err }: Terminal): void {
  const { line, problem } = bad;
  if (json === true) out(`${JSON.stringify({ type: 'bad-line', line, problem })}\n`);
  err(`enforcecore: line ${line}: ${oneLine(problem)}\n`);
}

function tellIgnored(names: ReadonlySet<string>, { err }: Terminal): void {
  if (names.size === 0) return;
  const list = [...names].map((name) => oneLine(name.slice(0, 40))).join(', ');
  err(`enforcecore: keys that are not part of a call were left alone: ${list}\n`);
}

function tellEnd(
  summary: DryRunSummary,
  { now, before }: Trials,
  { json, quiet }: DryRunFlags,
  terminal: Terminal,
): void {
  if (json === true) {
    terminal.out(`${JSON.stringify({ type: 'summary', ...summary.toJSON() })}\n`);
    return;
  }
  const { rate_limits, sequence_rules } = now.policy.document;
  const hasTime = rate_limits !== undefined || sequence_rules !== undefined;
  const facts = { isCompared: before !== null, hasTime };
  terminal.out(`${quiet === true ? '' : '\n'}${summaryText(summary, facts, terminal)}`);
}

function isFailed(summary: DryRunSummary, failOn: readonly FailOn[]): boolean {
  const counts: Readonly<Record<FailOn, number>> = {
    denied: summary.denied,
    blocked: summary.denied,
    wouldDeny: summary.wouldDeny,
    changed: summary.changed,
  };
  return failOn.some((what) => counts[what] > 0);
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', `${message}; see \`enforcecore dry-run --help\``);
}
