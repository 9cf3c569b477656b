import { resolve } from 'node:path';
import { type VerifyReport, verifyTrail } from '../index.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** `enforcecore verify`: the report as text or JSON; the exit code is the report's own. */
export async function verify(
  trail: string,
  { json }: { readonly json?: boolean },
  terminal: Terminal,
): Promise<number> {
  const report = await verifyTrail(resolve(terminal.cwd, trail));
  terminal.out(json === true ? `${JSON.stringify(report)}\n` : describe(report));
  return report.exitCode;
}

function describe(report: VerifyReport): string {
  const { ok, entries, unsigned, headHash, problems, warnings } = report;
  const lines = [
    `${ok ? 'intact' : 'NOT INTACT'}: ${entries} entries, head ${headHash ?? 'none'}`,
    ...problems.map((problem) => `problem: ${placeOf(problem)}${problem.kind}: ${problem.message}`),
    ...warnings.map((warning) => `warning: ${placeOf(warning)}${warning.kind}: ${warning.message}`),
  ];
  if (unsigned === entries && entries > 0) {
    lines.push('unsigned: a rewrite by whoever can write these files cannot be detected');
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
