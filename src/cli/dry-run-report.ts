import type { Decision, Reason } from '../call.ts';
import type { DryRunResult } from '../enforce/index.ts';
import { type Paint, painter } from './style.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, hanging, pairs } from './text-layout.ts';

/** What a decision comes to, in one word. `would-deny`: let through by `on_violation: log`. */
export type Verdict = 'allow' | 'would-deny' | 'deny';

export function verdictOf({ effect, wouldDeny }: Decision): Verdict {
  if (effect === 'deny') return 'deny';
  return wouldDeny ? 'would-deny' : 'allow';
}

/** One call under the policy and, where two are compared, under the other. */
export interface JudgedCall {
  readonly line: number;
  readonly result: DryRunResult;
  readonly before?: DryRunResult;
}

/** True when the two policies do not say the same about a call, or say it for other rules. */
export function isChanged({ result, before }: JudgedCall): boolean {
  if (before === undefined) return false;
  return (
    verdictOf(result.decision) !== verdictOf(before.decision) ||
    rulesOf(result.decision) !== rulesOf(before.decision)
  );
}

function rulesOf({ reasons }: Decision): string {
  return JSON.stringify(reasons.map(({ rule }) => rule).sort());
}

/** Numbers of a whole dry run. Bounded: rules come from policies, categories from detectors. */
export class DryRunSummary {
  calls = 0;
  allowed = 0;
  denied = 0;
  wouldDeny = 0;
  redacted = 0;
  badLines = 0;
  untimed = 0;
  readonly byRule: Map<string, number> = new Map();
  readonly redactions: Map<string, number> = new Map();
  /** Changes between two policies, as `allow -> deny`. */
  readonly changes: Map<string, number> = new Map();

  add(judged: JudgedCall): void {
    const { decision, redactions } = judged.result;
    this.calls += 1;
    if (decision.effect === 'allow') this.allowed += 1;
    else this.denied += 1;
    if (decision.wouldDeny) this.wouldDeny += 1;
    for (const rule of new Set(decision.reasons.map((reason) => reason.rule))) {
      addTo(this.byRule, rule, 1);
    }
    const found = Object.entries(redactions);
    if (found.length > 0) this.redacted += 1;
    for (const [category, times] of found) addTo(this.redactions, category, times);
    if (isChanged(judged)) addTo(this.changes, changeOf(judged), 1);
  }

  get changed(): number {
    return [...this.changes.values()].reduce((sum, calls) => sum + calls, 0);
  }

  /** Share of the calls that are denied, 0 to 1. */
  get blockRate(): number {
    return this.calls === 0 ? 0 : this.denied / this.calls;
  }

  toJSON(): object {
    const { calls, allowed, denied, wouldDeny, redacted, badLines, untimed, blockRate } = this;
    return {
      ...{ calls, allowed, denied, wouldDeny, redacted, badLines, untimed, blockRate },
      byRule: Object.fromEntries(sorted(this.byRule)),
      redactions: Object.fromEntries(sorted(this.redactions)),
      changes: Object.fromEntries(sorted(this.changes)),
    };
  }
}

function addTo(counts: Map<string, number>, key: string, amount: number): void {
  counts.set(key, (counts.get(key) ?? 0) + amount);
}

/** Most frequent first. */
function sorted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

function changeOf({ result, before }: JudgedCall): string {
  const [was, is] = [before ?? result, result].map(({ decision }) => verdictOf(decision));
  return was === is ? `${is}, for other reasons` : `${was} -> ${is}`;
}

/** One call for people: its verdict, and a line for each reason. */
export function callText(judged: JudgedCall, terminal: Terminal): string {
  const { line, result } = judged;
  const paint = painter(terminal, 'out');
  const change = judged.before === undefined ? null : changeOf(judged);
  const verdict = change ?? verdictOf(result.decision);
  const redactions = Object.entries(result.redactions).map(([what, times]) => `${what} ${times}`);
  const notes = redactions.length === 0 ? '' : `, redacts ${redactions.join(', ')}`;
  const head = `${paint('faint', `${line}:`)} ${paint(colourOf(result.decision), verdict)} ${oneLine(result.tool)}${notes}\n`;
  return head + reasonLines(judged, paint, terminal.columns);
}

function colourOf(decision: Decision): 'good' | 'warning' | 'bad' {
  const verdict = verdictOf(decision);
  if (verdict === 'allow') return 'good';
  return verdict === 'deny' ? 'bad' : 'warning';
}

/** Where two policies are compared, only the rules of one of them: `+` now, `-` before. */
function reasonLines({ result, before }: JudgedCall, paint: Paint, columns: number): string {
  const [now, then] = [result.decision.reasons, before?.decision.reasons ?? []];
  if (before === undefined) return now.map((each) => reasonLine('  ', each, columns)).join('');
  const without = (reasons: readonly Reason[], others: readonly Reason[]): readonly Reason[] =>
    reasons.filter(({ rule }) => !others.some((other) => other.rule === rule));
  return [
    ...without(now, then).map((each) => paint('bad', reasonLine('  + ', each, columns))),
    ...without(then, now).map((each) => paint('good', reasonLine('  - ', each, columns))),
  ].join('');
}

function reasonLine(mark: string, { rule, message }: Reason, columns: number): string {
  return `${mark}${hanging(`${oneLine(rule)}: ${oneLine(message)}`, mark.length + 2, columns)}\n`;
}

/** What the end of a dry run depends on besides its numbers. */
export interface SummaryFacts {
  readonly isCompared: boolean;
  /** The policy has rules over time. */
  readonly hasTime: boolean;
}

/** The end of a dry run for people. */
export function summaryText(
  summary: DryRunSummary,
  { isCompared, hasTime }: SummaryFacts,
  terminal: Terminal,
): string {
  const { calls, allowed, denied, wouldDeny, redacted, blockRate, badLines, untimed } = summary;
  const { columns } = terminal;
  const log = wouldDeny === 0 ? '' : ` (${count(wouldDeny)} would be denied)`;
  const rate = (100 * blockRate).toFixed(1);
  const head = `${count(calls)} calls: ${count(allowed)} allowed${log}, ${count(denied)} denied (${rate} %), ${count(redacted)} redacted`;
  const notes = [
    ...(isCompared ? [`${count(summary.changed)} calls are decided otherwise`] : []),
    ...(badLines > 0 ? [`${count(badLines)} lines are no calls`] : []),
    ...(hasTime && untimed > 0
      ? [`${count(untimed)} calls have no time: they are judged as if made one --interval apart`]
      : []),
  ];
  return [
    `${painter(terminal, 'out')('strong', hanging(head, 0, columns))}\n`,
    table('calls by rule', summary.byRule, columns),
    table('redactions', summary.redactions, columns),
    table('changes', summary.changes, columns),
    ...notes.map((note, index) => `${index === 0 ? '\n' : ''}${hanging(note, 0, columns)}\n`),
  ].join('');
}

function table(title: string, counts: ReadonlyMap<string, number>, columns: number): string {
  if (counts.size === 0) return '';
  const rows = sorted(counts).map(([name, times]) => [count(times), oneLine(name)] as const);
  const width = Math.max(...rows.map(([times]) => times.length));
  const padded = rows.map(([times, name]) => [times.padStart(width), name] as const);
  return `\n${title}\n${pairs(padded, { indent: 2, columns })}`;
}
