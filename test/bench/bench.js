// `npm run bench`: every row of the performance table, one script after the other, each in a process
// of its own. Writes results.json and results.md beside this file, with the machine they were read on.
//
//   node test/bench/bench.js [PART …]     only these parts, nothing written
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { isMet, shown, targetOf } from './rows.js';

const PARTS = {
  start: 'start-ratios.js',
  runtime: 'sandbox-runtime.js',
  kill: 'kill-times.js',
  call: 'call-cost.js',
  decide: 'decide-ratio.js',
  hostile: 'hostile-decisions.js',
  audit: 'audit-ratios.js',
  flood: 'flood-memory.js',
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((part) => !Object.hasOwn(PARTS, part));
if (unknown.length > 0) {
  console.error(`no part \`${unknown[0]}\`; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'enforcecore-bench-'));
const file = join(folder, 'rows.jsonl');
writeFileSync(file, '');
// An inherited CA file doubles the start of every Node on the other side of the ratios.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
const loadBefore = loadavg()[0];
const failed = [];
for (const part of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  console.log(`\n=== ${part}`);
  const script = new URL(PARTS[part], import.meta.url).pathname;
  const { status } = spawnSync(process.execPath, ['--expose-gc', script], {
    stdio: 'inherit',
    env: { ...env, BENCH_ROWS: file },
  });
  if (status !== 0) failed.push(part);
}
const rows = readFileSync(file, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line));
rmSync(folder, { recursive: true });

const machine = {
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  kernel: release(),
  cpu: `${cpus().length} × ${cpus()[0]?.model.trim()}`,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  loadBefore: Number(loadBefore.toFixed(2)),
};
if (wanted.length === 0) {
  writeFileSync(
    new URL('results.json', import.meta.url),
    `${JSON.stringify({ machine, rows }, null, 2)}\n`,
  );
  writeFileSync(new URL('results.md', import.meta.url), asMarkdown());
}
const missed = rows.filter((row) => isMet(row) === false);
console.log(
  `\n${rows.length} rows, ${missed.length} miss their target, ${failed.length} parts failed`,
);
process.exit(failed.length > 0 ? 1 : 0);

function asMarkdown() {
  const { date, node, kernel, cpu, memoryGiB } = machine;
  const verdict = (row) => ({ true: 'met', false: '**not met**', null: '' })[String(isMet(row))];
  return `# Measured by \`npm run bench\`

${date}, Node ${node.slice(1)}, Linux ${kernel}, ${cpu}, ${memoryGiB} GiB; load before the run ${machine.loadBefore}.
Both sides of every ratio ran interleaved in one process; medians. Absolute times are this machine's.

| what | measured | target | | behind it | what it does not show |
| --- | --- | --- | --- | --- | --- |
${rows
  .map((row) => {
    const cells = [row.what, shown(row), row.target === null ? '' : targetOf(row), verdict(row)];
    return `| ${[...cells, row.detail, row.doesNotShow].join(' | ')} |`;
  })
  .join('\n')}
`;
}
