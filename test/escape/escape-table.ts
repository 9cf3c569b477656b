import { CLAIMING_TIERS, type EscapeCase } from './escape-case.ts';

export type Cell = 'contained' | 'works' | 'not claimed' | 'needs a namespace';

const HEAD = `# Attacks and tiers

Written by the test suite (\`test/escape/\`), not by hand: each row is an attack that succeeds against
an unprotected child process, and was then made at every tier that claims to stop it. The effect is
looked for from outside: files, sockets, processes, limits of others. A row "works" is the other way
round: something ordinary that the sandbox must not break.

\`not claimed\`: the tier is not meant to stop this. \`needs a namespace\`: only \`isolated\` can.
`;

/** The cell of a case at a tier, when its test passes. */
export function cellOf(attack: EscapeCase, tier: (typeof CLAIMING_TIERS)[number]): Cell {
  if (attack.claimedBy.includes(tier)) return attack.mustWork === true ? 'works' : 'contained';
  return tier === 'hardened' && attack.needsNamespace === true
    ? 'needs a namespace'
    : 'not claimed';
}

/** The page `docs/escape-table.md`. */
export function renderTable(sections: Readonly<Record<string, readonly EscapeCase[]>>): string {
  return [HEAD, ...Object.entries(sections).map(renderSection)].join('\n');
}

function renderSection([name, cases]: readonly [string, readonly EscapeCase[]]): string {
  const head = ['attack', ...CLAIMING_TIERS.map((tier) => `\`${tier}\``)];
  const rows = cases.map((attack) => [
    attack.title,
    ...CLAIMING_TIERS.map((tier) => cellOf(attack, tier)),
  ]);
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return `## ${name}\n\n${[line(head), rule, ...rows.map(line)].join('\n')}\n`;
}
