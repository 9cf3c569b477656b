import { resolve } from 'node:path';
import { PolicyError } from '../errors.ts';
import {
  formatProblem,
  lintPolicy,
  loadPolicy,
  type Policy,
  type PolicyWarning,
  type Problem,
  readPolicyFile,
} from '../policy/index.ts';
import { codeFrame } from './code-frame.ts';
import { type Emphasis, painter } from './style.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** Options of the command. */
export interface ValidateFlags {
  readonly strict?: boolean;
  readonly json?: boolean;
}

const VALID = 0;
const INVALID = 1;
const UNREADABLE = 2;

/** What came of one file. */
type Verdict =
  | { readonly file: string; readonly policy: Policy; readonly warnings: readonly PolicyWarning[] }
  | { readonly file: string; readonly error: PolicyError };

/** `enforcecore validate`: every problem of every policy, with the line it stands on. */
export async function validate(
  files: readonly string[],
  { strict, json }: ValidateFlags,
  terminal: Terminal,
): Promise<number> {
  let worst = VALID;
  for (const file of files) {
    const verdict = await judge(resolve(terminal.cwd, file), strict === true);
    if (json === true) terminal.out(`${JSON.stringify(reportOf(verdict))}\n`);
    else await show(verdict, files.length > 1, terminal);
    worst = Math.max(worst, exitCodeOf(verdict));
  }
  return worst;
}

async function judge(file: string, isStrict: boolean): Promise<Verdict> {
  try {
    const policy = await loadPolicy(file);
    return { file, policy, warnings: isStrict ? await lintPolicy(file) : [] };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { file, error };
  }
}

function exitCodeOf(verdict: Verdict): number {
  if ('policy' in verdict) return verdict.warnings.length > 0 ? INVALID : VALID;
  return verdict.error.code === 'ENF_POLICY_READ' ? UNREADABLE : INVALID;
}

function reportOf(verdict: Verdict): object {
  if ('error' in verdict) {
    return { ok: false, policy: verdict.file, problems: problemsOf(verdict.error), warnings: [] };
  }
  const { file, policy, warnings } = verdict;
  const { name, version, digest, files, notes } = policy;
  return { ok: true, policy: file, name, version, digest, files, notes, problems: [], warnings };
}

function problemsOf({ details }: PolicyError): readonly Problem[] {
  return (details['problems'] ?? []) as readonly Problem[];
}

async function show(verdict: Verdict, isOneOfMany: boolean, terminal: Terminal): Promise<void> {
  const linesOf = lineReader();
  if ('error' in verdict) {
    const [head = ''] = verdict.error.message.split('\n');
    terminal.err(`${oneLine(head)}\n`);
    for (const each of problemsOf(verdict.error)) await showPlace('bad', each, linesOf, terminal);
    return;
  }
  const { file, policy, warnings } = verdict;
  const where = isOneOfMany ? ` ${oneLine(file)}` : '';
  const paint = painter(terminal, 'out');
  terminal.out(
    `${paint('good', 'valid')}:${where} policy \`${oneLine(policy.name)}\`, digest ${policy.digest}\n`,
  );
  for (const note of policy.notes) terminal.out(`note: ${oneLine(note)}\n`);
  for (const each of warnings) await showPlace('warning', each, linesOf, terminal);
}

type LineReader = (file: string) => Promise<readonly string[]>;

/** Lines of files, each read once. A file that is gone by now has none. */
function lineReader(): LineReader {
  const known = new Map<string, readonly string[]>();
  return async (file) => {
    const lines = known.get(file);
    if (lines !== undefined) return lines;
    const reading = await readPolicyFile(file);
    const read = 'text' in reading ? reading.text.split(/\r?\n/) : [];
    known.set(file, read);
    return read;
  };
}

/** One line, and below it what it is about. */
async function showPlace(
  emphasis: Emphasis,
  place: Omit<Problem, 'code'>,
  linesOf: LineReader,
  terminal: Terminal,
): Promise<void> {
  const paint = painter(terminal, 'err');
  const mark = emphasis === 'warning' ? `${paint(emphasis, 'warning')}: ` : '';
  terminal.err(`${mark}${oneLine(formatProblem(place))}\n`);
  if (place.line === 0) return;
  const layout = { columns: terminal.columns, paint };
  const frame = codeFrame(await linesOf(place.file), place, layout);
  terminal.err(frame.map((line) => `${line}\n`).join(''));
}
