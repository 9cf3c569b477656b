// `npm run soak [CALLS]`: many calls through one enforcer, friendly and hostile ones mixed, while what
// this process and the host hold is counted. Writes soak.svg and soak.json beside this file; exits
// with 1 when anything grew.
//
// Counted after each batch, with nothing running: resident memory (after a collection), descriptors,
// child processes, control groups and folders of ours. A line that is flat leaks nothing.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEnforcer } from '../../dist/src/index.js';
import { median } from './rows.js';

const CALLS = Number(process.argv[2] ?? 100_000);
const BATCHES = Math.min(100, Math.floor(CALLS / 20));
const LANES = 3;
const EXPECTED = new Set([
  ...['ok', 'tool-error', 'timeout', 'denied', 'crashed', 'output-too-large', 'protocol-violation'],
]);

if (!Number.isInteger(CALLS) || CALLS < 400) {
  console.error(`CALLS must be an integer >= 400, got ${process.argv[2]}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'enforcecore-soak-'));
const scratchRoot = mkdtempSync(join(tmpdir(), 'enforcecore-soak-tmp-'));
process.env.TMPDIR = scratchRoot;

/** What tools do, and how many of a hundred calls do it. */
const TOOLS = {
  add: [60, 'export default ({ n }) => n + 1;'],
  mail: [15, 'export default () => "write to jane.roe@example.com";'],
  fails: [5, 'export default () => { throw new Error("no"); };'],
  exits: [4, 'export default () => process.exit(3);'],
  files: [
    6,
    "import { writeFileSync } from 'node:fs'; export default () => { for (let i = 0; i < 20; i += 1) writeFileSync('f' + i, 'x'.repeat(1e4)); return 1; };",
  ],
  floods: [
    3,
    'export default async () => { for (;;) { process.stdout.write("x".repeat(65536)); await new Promise(setImmediate); } };',
  ],
  garbage: [
    3,
    'import { writeSync } from "node:fs"; export default () => { for (;;) writeSync(3, Buffer.alloc(4096, 0x41)); };',
  ],
  spins: [2, 'export default () => { for (;;); };'],
};
for (const [name, [, source]] of Object.entries(TOOLS))
  writeFileSync(join(folder, `${name}.mjs`), source);
const deck = Object.entries(TOOLS).flatMap(([name, [share]]) => Array(share).fill(name));
const daemon = { command: ['/bin/sh', '-c', '(setsid sleep 1000 &) ; echo done'] };

const enforcer = await createEnforcer({
  policy: {
    name: 'soak',
    denied_tools: ['forbidden'],
    pii_redaction: {},
    resource_limits: { max_call_duration_seconds: 2, max_output_size_bytes: 100_000 },
  },
  audit: { path: join(folder, 'audit') },
});

const statuses = {};
let done = 0;
async function call(index) {
  // Every hundredth is a daemon, every hundredth denied; the rest as the deck says.
  const turn = index % 100;
  const name = deck[(index * 37) % deck.length];
  const outcome =
    turn === 98
      ? await enforcer.run(daemon, {}, { tool: 'daemon' })
      : turn === 99
        ? await enforcer.run(join(folder, 'add.mjs'), { n: 1 }, { tool: 'forbidden' })
        : await enforcer.run(join(folder, `${name}.mjs`), { n: index });
  statuses[outcome.status] = (statuses[outcome.status] ?? 0) + 1;
  if (!EXPECTED.has(outcome.status)) unexpected[outcome.status] ??= outcome.error.message;
  done += 1;
}
const unexpected = {};

const samples = [];
const began = performance.now();
for (let batch = 0; batch < BATCHES; batch += 1) {
  const until = Math.round(((batch + 1) * CALLS) / BATCHES);
  let next = done;
  const lane = async () => {
    while (next < until) {
      next += 1;
      await call(next - 1);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  samples.push(sample());
  const { calls, rssMB, descriptors } = samples.at(-1);
  process.stderr.write(`\r${calls} calls, ${rssMB.toFixed(0)} MB, ${descriptors} descriptors   `);
}
const seconds = (performance.now() - began) / 1000;
await enforcer.close();
const atEnd = sample();
process.stderr.write('\n');

const SERIES = {
  rssMB: { title: 'resident memory, MB', slack: 24 },
  descriptors: { title: 'open descriptors', slack: 3 },
  children: { title: 'child processes', slack: 8 },
  groups: { title: 'control groups', slack: 8 },
  folders: { title: 'folders in TMPDIR', slack: 8 },
};
const growth = Object.fromEntries(
  Object.entries(SERIES).map(([key, { slack }]) => {
    const quarter = Math.floor(samples.length / 4);
    const early = median(samples.slice(quarter, 2 * quarter).map((one) => one[key]));
    const late = median(samples.slice(-quarter).map((one) => one[key]));
    return [key, { early, late, isFlat: late <= early + slack }];
  }),
);
const result = {
  calls: CALLS,
  seconds: Math.round(seconds),
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
  statuses,
  unexpected,
  growth,
  afterClose: atEnd,
  samples,
};
writeFileSync(new URL('soak.json', import.meta.url), `${JSON.stringify(result)}\n`);
writeFileSync(new URL('soak.svg', import.meta.url), plot());
console.log(`${CALLS} calls in ${Math.round(seconds)} s: ${JSON.stringify(statuses)}`);
for (const [key, { early, late, isFlat }] of Object.entries(growth)) {
  console.log(
    `${isFlat ? 'flat ' : 'GREW '} ${SERIES[key].title}: ${early.toFixed(1)}, later ${late.toFixed(1)}`,
  );
}
console.log(`after close: ${JSON.stringify(atEnd)}`);
rmSync(folder, { recursive: true, force: true });
rmSync(scratchRoot, { recursive: true, force: true });
const isClean =
  Object.values(growth).every(({ isFlat }) => isFlat) && Object.keys(unexpected).length === 0;
if (Object.keys(unexpected).length > 0) console.log(`unexpected: ${JSON.stringify(unexpected)}`);
process.exit(isClean ? 0 : 1);

function sample() {
  globalThis.gc?.();
  return {
    calls: done,
    rssMB: process.memoryUsage.rss() / 2 ** 20,
    descriptors: readdirSync('/proc/self/fd').length,
    children: childrenOf(process.pid),
    groups: groupCount(),
    folders: readdirSync(scratchRoot).length,
  };
}

function childrenOf(pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    }).length;
}

/** Control groups of this process, in any hierarchy. */
function groupCount() {
  const args = [
    '/sys/fs/cgroup',
    '-maxdepth',
    '6',
    '-type',
    'd',
    '-name',
    `enforcecore-*-${process.pid}-*`,
  ];
  const found = execFileSync('find', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return found.split('\n').filter(Boolean).length;
}

function plot() {
  const [width, height, gap, left] = [720, 90, 34, 60];
  const bands = Object.entries(SERIES).map(([key, { title }], index) => {
    const top = 30 + index * (height + gap);
    const values = samples.map((one) => one[key]);
    const max = Math.max(1, ...values) * 1.1;
    const points = values
      .map((value, at) => {
        const x = left + (at / Math.max(1, values.length - 1)) * width;
        return `${x.toFixed(1)},${(top + height - (value / max) * height).toFixed(1)}`;
      })
      .join(' ');
    return `<text x="${left}" y="${top - 6}">${title} (0 to ${max.toFixed(0)})</text>
<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#ccc"/>
<polyline points="${points}" fill="none" stroke="#06c" stroke-width="1.5"/>`;
  });
  const total = 30 + bands.length * (height + gap);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 20}" height="${total}" font-family="sans-serif" font-size="12">
<title>What one enforcer held over ${CALLS} calls</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="14">${CALLS} calls, ${Math.round(seconds)} s, Node ${process.version.slice(1)}</text>
${bands.join('\n')}
</svg>
`;
}
