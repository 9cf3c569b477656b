// How much larger this process becomes, at its largest, while a tool floods it. Each flood runs in a
// supervisor of its own, because the high-water mark of a process never goes down.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report } from './rows.js';

const FLOODS = {
  stdout: `export default async () => { const text = 'x'.repeat(65536); for (;;) { if (!process.stdout.write(text)) await new Promise((go) => process.stdout.once('drain', go)); } };`,
  'log messages': `export default async (_, { log }) => { const text = 'x'.repeat(8000); for (;;) { log(text); await new Promise(setImmediate); } };`,
  'a result of 200 MB': `export default () => 'x'.repeat(200e6);`,
  'garbage on descriptor 3': `import { writeSync } from 'node:fs'; export default () => { const bytes = Buffer.alloc(65536, 0x41); for (;;) { try { writeSync(3, bytes); } catch {} } };`,
  'frames without end': `import { writeSync } from 'node:fs'; export default () => { const head = Buffer.alloc(65536); head.writeUInt32BE(900_000); for (;;) { try { writeSync(3, head); } catch {} } };`,
};

if (process.argv[2] !== undefined) await flood(process.argv[2], process.argv[3]);
else measureAll();

function measureAll() {
  const folder = mkdtempSync(join(tmpdir(), 'bench-flood-'));
  const rows = Object.entries(FLOODS).map(([what, source], index) => {
    const file = join(folder, `flood-${index}.mjs`);
    const calm = join(folder, 'calm.mjs');
    writeFileSync(file, source);
    writeFileSync(calm, 'export default () => 1;');
    const args = ['--expose-gc', new URL(import.meta.url).pathname, file, calm];
    const { BENCH_ROWS: _, ...env } = process.env;
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    const { grownMB, status } = JSON.parse(stdout || `{"status":${JSON.stringify(stderr)}}`);
    return {
      what: `growth of the supervisor while a tool floods it: ${what}`,
      value: grownMB,
      unit: 'MB',
      target: 32,
      bound: 'max',
      detail: `the high-water mark of its resident memory against the idle one; the call ended as ${status}`,
      doesNotShow: 'several floods at a time',
    };
  });
  report(rows);
  rmSync(folder, { recursive: true });
}

async function flood(file, calm) {
  const { createEnforcer } = await import('../../dist/src/index.js');
  const policy = { name: 'bench', resource_limits: { max_call_duration_seconds: 5 } };
  const enforcer = await createEnforcer({ policy, audit: false });
  // What is loaded, compiled and cached at a first call is no growth.
  for (let call = 0; call < 20; call += 1) await enforcer.run(calm);
  const before = process.resourceUsage().maxRSS;
  const { status } = await enforcer.run(file);
  const grownMB = (process.resourceUsage().maxRSS - before) / 1024;
  console.log(JSON.stringify({ grownMB, status }));
  await enforcer.close();
}
