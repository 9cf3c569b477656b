import { resolve } from 'node:path';
import { type VerifyOptions, type VerifyReport, verifyTrail } from '../index.ts';
import { startProgress } from './progress.ts';
import { oneOf, parseCount } from './quantity.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** What the command line said. */
export interface VerifyFlags {
  readonly key?: string;
  readonly checkpoint?: string;
  readonly require?: string;
  readonly maxUnsigned?: string;
  readonly format?: string;
  readonly json?: boolean;
}

const LEVELS = ['signed', 'anchored'] as const;
const FORMATS = ['enforcecore', 'enforcecore-py'] as const;

/** `enforcecore verify`: the report as text or JSON; the exit code is the report's own. */
export async function verify(
  trail: string,
  { json, ...flags }: VerifyFlags,
  terminal: Terminal,
): Promise<number> {
  const progress = startProgress(terminal, { label: 'verify' });
  const report = await verifyTrail(resolve(terminal.cwd, trail), {
    ...optionsOf(flags, terminal.cwd),
    onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
  });
  progress.clear();
  terminal.out(json === true ? `${JSON.stringify(report)}\n` : describe(report));
  return report.exitCode;
}

function optionsOf(flags: VerifyFlags, cwd: string): VerifyOptions {
  const { key, checkpoint, require, maxUnsigned, format } = flags;
  return {
    // A verifier key has plus signs in it, the path of a file need not.
    ...(key === undefined ? {} : { key: key.includes('+') ? key : resolve(cwd, key) }),
    ...(checkpoint === undefined ? {} : { checkpoint: resolve(cwd, checkpoint) }),
    ...(require === undefined ? {} : { require: oneOf('--require', require, LEVELS) }),
    ...(maxUnsigned === undefined
      ? {}
      : { maxUnsigned: parseCount('--max-unsigned', maxUnsigned) }),
    ...(format === undefined ? {} : { format: oneOf('--format', format, FORMATS) }),
  };
}

function describe(report: VerifyReport): string {
  const { ok, level, entries, unsigned, headHash, problems, warnings } = report;
  const lines = [
    `${ok ? 'intact' : 'NOT INTACT'} (${level}): ${entries} entries, head ${headHash ?? 'none'}`,
    ...problems.map((problem) => `problem: ${placeOf(problem)}${problem.kind}: ${problem.message}`),
    ...warnings.map((warning) => `warning: ${placeOf(warning)}${warning.kind}: ${warning.message}`),
  ];
  if (level === 'chain' && entries > 0) {
    lines.push('unsigned: a rewrite by whoever can write these files cannot be detected');
  } else if (unsigned > 0) {
    lines.push(`unsigned: the last ${unsigned} entries stand behind the newest checkpoint`);
  }
  return `${lines.map(oneLine).join('\n')}\n`;
}

function placeOf({
  segment,
  line,
}: {
  readonly segment?: string | null;
  readonly line?: number | null;
}): string {
  if (segment === null || segment === undefined) return '';
  return line === null || line === undefined ? `${segment}: ` : `${segment}:${line}: `;
}
