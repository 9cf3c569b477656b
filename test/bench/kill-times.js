// From the deadline of a tool that will not die to the moment nothing of it is left alive.
//
// The tool ignores signals, forks twice, puts its children into sessions of their own, and spins. What
// is left is looked for in the process table, by a number in the arguments of every child.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEnforcer } from '../../dist/src/index.js';
import { percentile, report } from './rows.js';

const KILLS = Number(process.env.BENCH_KILLS ?? 1000);
const LANES = 4;
const LIMIT_MS = 500;
const MARK = `77${process.pid}`;
const SCRIPT = `trap '' TERM INT HUP QUIT
setsid sh -c 'trap "" TERM; exec sleep ${MARK}' &
(setsid sh -c '(sleep ${MARK} &)' &)
while :; do :; done`;

const folder = mkdtempSync(join(tmpdir(), 'bench-kill-'));
const rows = [];
for (const level of ['isolated', 'hardened']) {
  const enforcer = await createEnforcer({
    policy: {
      name: 'bench',
      isolation: { level },
      resource_limits: { max_call_duration_seconds: LIMIT_MS / 1000, max_processes: 64 },
    },
    audit: false,
  });
  const late = [];
  let survivors = 0;
  let other = null;
  let left = KILLS;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      const outcome = await enforcer.run(
        { command: ['/bin/sh', '-c', SCRIPT] },
        {},
        { tool: 'sh' },
      );
      if (outcome.status !== 'timeout') other ??= outcome;
      late.push(outcome.usage.wallMs - LIMIT_MS);
    }
  };
  const first = await enforcer.run({ command: ['/bin/sh', '-c', SCRIPT] }, {}, { tool: 'sh' });
  if (first.status === 'isolation-unavailable') {
    console.log(`${level}: ${first.error.message}`);
    await enforcer.close();
    continue;
  }
  await Promise.all(Array.from({ length: LANES }, lane));
  survivors = marked().length;
  if (other !== null)
    throw new Error(`${level}: ended as ${other.status}: ${other.error?.message}`);
  rows.push({
    what: `\`${level}\`: a deadline of ${KILLS} tools that will not die, to the outcome, p99`,
    value: percentile(late, 0.99),
    unit: 'ms',
    target: 100,
    bound: 'max',
    detail: `p50 ${percentile(late, 0.5)} ms, worst ${Math.max(...late)} ms, ${LANES} at a time; ${survivors} processes left`,
    doesNotShow: 'a machine with more runnable tools than processors',
  });
  rows.push({
    what: `\`${level}\`: processes left by them`,
    value: survivors,
    unit: 'processes',
    target: 0,
    bound: 'max',
    detail: 'counted in the process table after the last outcome; zombies are not counted',
    doesNotShow: 'files',
  });
  await enforcer.close();
}
report(rows);
rmSync(folder, { recursive: true });

/** Processes of this run's tools that still live. A zombie has no arguments. */
function marked() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(MARK);
      } catch {
        return false;
      }
    });
}
