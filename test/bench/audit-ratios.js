// Measures the audit rows of the performance table: both sides of every ratio run interleaved in one
// process, and the median over the rounds of the ratio of each round is printed.
//
//   npm run build && node test/bench/audit-ratios.js [ENTRIES-TO-VERIFY]
//
// What it does not show: a disk under load from elsewhere, other file systems than the one of TMPDIR,
// and the cost of a checkpoint signature (none here: the trails are keyless unless a row says so).
import { hash, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, openTrail, verifyTrail } from '../../dist/src/audit/index.js';

const ROUNDS = 9;
const root = mkdtempSync(join(tmpdir(), 'audit-bench-'));
const GENESIS = '0'.repeat(64);

/** The call that every row writes about: 700 bytes as a sealed line. */
function buildDecision(call) {
  return {
    type: 'decision',
    callId: `6f1f3c3e-8f0c-4d59-9c5f-${String(call).padStart(12, '0')}`,
    tool: 'fetch_page',
    target: { kind: 'module', path: '/srv/tools/fetch-page.js', sha256: '0f'.repeat(32) },
    decision: {
      effect: 'allow',
      reasons: [],
      wouldDeny: false,
      policy: { name: 'web', version: '1', digest: 'ab'.repeat(32) },
    },
    argsDigest: '11'.repeat(32),
    sentDigest: '22'.repeat(32),
    redactions: {},
    context: { agent: 'a1', session: 's1' },
    tierAsked: 'auto',
  };
}

/** The same members as the stored line, in the order of the stored line. */
function buildStored(call, previousHash) {
  return {
    args_digest: '11'.repeat(32),
    call_id: `6f1f3c3e-8f0c-4d59-9c5f-${String(call).padStart(12, '0')}`,
    context: { agent: 'a1', session: 's1' },
    effect: 'allow',
    entry_id: randomUUID(),
    policy: { digest: 'ab'.repeat(32), name: 'web', version: '1' },
    reasons: [],
    redactions: {},
    sent_digest: '22'.repeat(32),
    seq: call,
    target: { kind: 'module', path: '/srv/tools/fetch-page.js', sha256: '0f'.repeat(32) },
    tier_asked: 'auto',
    tool: 'fetch_page',
    ts: new Date().toISOString(),
    type: 'decision',
    v: 1,
    previous_hash: previousHash,
  };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Runs the sides in turn; returns microseconds per entry of each side and round. */
async function interleave(sides, rounds = ROUNDS) {
  const times = sides.map(() => []);
  for (const { run } of sides) await run();
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { run, entries }] of sides.entries()) {
      const start = process.hrtime.bigint();
      await run();
      times[index].push(Number(process.hrtime.bigint() - start) / 1000 / entries);
    }
  }
  return times;
}

function report(row, [ours, theirs], invert = false) {
  const ratios = ours.map((value, index) =>
    invert ? theirs[index] / value : value / theirs[index],
  );
  const spread = (Math.max(...ratios) / Math.min(...ratios)).toFixed(2);
  const text = `${median(ours).toFixed(2)} µs against ${median(theirs).toFixed(2)} µs`;
  console.log(
    `${row.padEnd(58)} ${median(ratios).toFixed(2)}×  (${text}; spread of rounds ${spread}×)`,
  );
}

const COUNT = 20_000;

/** Build, stringify, hash and write of the same bytes: what no trail can do without. */
function boundSide() {
  const fd = openSync(join(root, 'bound'), 'a', 0o600);
  return {
    entries: COUNT,
    run() {
      for (let call = 0; call < COUNT; call += 1) {
        const text = JSON.stringify(buildStored(call, GENESIS));
        const entryHash = hash('sha256', text);
        writeSync(fd, `${text.slice(0, -1)},"entry_hash":"${entryHash}"}\n`);
      }
    },
  };
}

/** The Python auditor in Node: sorted keys, hash, sorted keys again, the file opened for each entry. */
function pythonSide() {
  const file = join(root, 'python');
  const sorted = (entry) => JSON.stringify(entry, Object.keys(entry).sort());
  let previous = '';
  return {
    entries: COUNT,
    run() {
      for (let call = 0; call < COUNT; call += 1) {
        const entry = buildStored(call, previous);
        previous = hash('sha256', sorted(entry));
        appendFileSync(file, `${sorted({ ...entry, entry_hash: previous })}\n`);
      }
    },
  };
}

async function oursSide(options, { inFlight = 1, entries = COUNT } = {}) {
  const trail = await openTrail({
    rotateBytes: Number.MAX_SAFE_INTEGER,
    compress: false,
    ...options,
  });
  let call = 0;
  return {
    entries,
    trail,
    async run() {
      for (let done = 0; done < entries; done += inFlight) {
        if (inFlight === 1) await trail.append(buildDecision(call++));
        else
          await Promise.all(
            Array.from({ length: inFlight }, () => trail.append(buildDecision(call++))),
          );
      }
    },
  };
}

function syncEachSide(entries) {
  const fd = openSync(join(root, 'sync-each'), 'a', 0o600);
  const line = `${'x'.repeat(699)}\n`;
  return {
    entries,
    run() {
      for (let call = 0; call < entries; call += 1) {
        writeSync(fd, line);
        fdatasyncSync(fd);
      }
    },
  };
}

/** JSON.parse and SHA-256 of every line, read as we read. */
function parseAndHash(file) {
  const fd = openSync(file, 'r');
  const bytes = Buffer.alloc(2 * 1024 * 1024);
  let filled = 0;
  for (;;) {
    const read = readSync(fd, bytes, filled, 1024 * 1024, null);
    if (read === 0) break;
    filled += read;
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1 && end < filled; end = bytes.indexOf(10, start)) {
      JSON.parse(bytes.toString('utf8', start, end));
      hash('sha256', bytes.subarray(start, end));
      start = end + 1;
    }
    bytes.copyWithin(0, start, filled);
    filled -= start;
  }
  closeSync(fd);
}

async function benchAppend() {
  const bound = boundSide();
  const one = await oursSide({ path: join(root, 'os') });
  report('append (os), one at a time / build+stringify+hash+write', await interleave([one, bound]));
  const many = await oursSide({ path: join(root, 'os-64') }, { inFlight: 64 });
  report('append (os), 64 in flight / build+stringify+hash+write', await interleave([many, bound]));
  report(
    'Python algorithm in Node / append (os), one at a time',
    await interleave([one, pythonSide()]),
    true,
  );
  const key = join(root, 'key');
  await generateKey({ out: key });
  const signed = await oursSide({ path: join(root, 'signed'), key });
  report('append (os), signed / build+stringify+hash+write', await interleave([signed, bound]));
  const queue = await oursSide({ path: join(root, 'queue') });
  report('append (queue) / build+stringify+hash+write', await interleave([queue, bound]));
  const disk = await oursSide(
    { path: join(root, 'disk'), durability: 'disk' },
    { inFlight: 256, entries: 5_120 },
  );
  const times = await interleave([disk, syncEachSide(100)]);
  report('fdatasync per entry / append (disk), 256 in flight', times, true);
  for (const { trail } of [one, many, signed, queue, disk]) await trail.close();
}

async function benchVerify(entries) {
  const path = join(root, 'verify');
  const side = await oursSide({ path }, { inFlight: 64, entries });
  await side.run();
  await side.trail.close();
  const file = join(path, 'audit-000001.jsonl');
  console.log(`verifying ${entries} entries, ${(statSync(file).size / 1e6).toFixed(0)} MB`);
  const ours = {
    entries,
    async run() {
      const { ok } = await verifyTrail(path);
      if (!ok) throw new Error('the trail does not verify');
    },
  };
  const theirs = { entries, run: () => parseAndHash(file) };
  report(
    'verify (chain, tree, form) / JSON.parse + SHA-256 per line',
    await interleave([ours, theirs], entries > 200_000 ? 3 : 7),
  );
}

try {
  await benchAppend();
  await benchVerify(Number(process.argv[2] ?? 50_000));
  console.log(
    `peak memory of this process ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`,
  );
} finally {
  rmSync(root, { recursive: true, force: true });
}
