// Measures the audit rows of the performance table. Both sides of every ratio run block by block in
// turn in one process; a ratio is the median over the blocks of the ratio of each pair.
//
//   npm run build && node test/bench/audit-ratios.js [ENTRIES-TO-VERIFY]
//
// Rows that only compute are measured in CPU time, user and system, so that what else runs on the
// machine counts little; rows about the disk in wall time, which is what a caller waits for.
import { hash, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  fdatasync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { generateKey, nodeFileLayer, openTrail, verifyTrail } from '../../dist/src/audit/index.js';
import { median, percentile, report } from './rows.js';

const GENESIS = '0'.repeat(64);
const BLOCKS = 120;
const BLOCK_ENTRIES = 1_000;
const WARM_UP_BLOCKS = 10;
const VERIFY_ROUNDS = 9;
const VERIFY_ENTRIES = 60_000;
const DISK_IN_FLIGHT = 256;
const DISK_ROUNDS = 40;
const syncFile = promisify(fdatasync);

/** The call that every row writes about: 860 bytes as a sealed line. */
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
      policy: { what: 'web', version: '1', digest: 'ab'.repeat(32) },
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
    policy: { digest: 'ab'.repeat(32), what: 'web', version: '1' },
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

const cpuTime = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const wallTime = () => performance.now() * 1000;

/** Runs the sides in turn; returns microseconds per entry of each side and round. */
async function interleave(sides, { rounds, warmUp = 1, clock = cpuTime }) {
  const times = sides.map(() => []);
  for (let round = 0; round < rounds + warmUp; round += 1) {
    for (const [index, { run, entries }] of sides.entries()) {
      const began = clock();
      await run();
      if (round >= warmUp) times[index].push((clock() - began) / entries);
    }
  }
  return times;
}

/** How often the first side takes the time of the second. */
const costs = ([ours, theirs]) => median(ours.map((value, index) => value / theirs[index]));
/** How often the second side takes the time of the first. */
const gains = ([ours, theirs]) => median(ours.map((value, index) => theirs[index] / value));

const describe = ([ours, theirs], unit) => {
  const of = (values) =>
    `${median(values).toFixed(2)} (p99 ${percentile(values, 0.99).toFixed(2)})`;
  return `${of(ours)} against ${of(theirs)} ${unit} an entry`;
};

const atMost = (value, target) => ({ value, target, bound: 'max' });
const atLeast = (value, target) => ({ value, target, bound: 'min' });

/** Build, stringify, hash and write of the same bytes: what no trail can do without. */
function boundSide(root) {
  const fd = openSync(join(root, 'bound'), 'a', 0o600);
  return {
    entries: BLOCK_ENTRIES,
    run() {
      for (let call = 0; call < BLOCK_ENTRIES; call += 1) {
        const text = JSON.stringify(buildStored(call, GENESIS));
        const entryHash = hash('sha256', text);
        writeSync(fd, `${text.slice(0, -1)},"entry_hash":"${entryHash}"}\n`);
      }
    },
  };
}

/** The Python auditor in Node: sorted keys, hash, sorted keys again, the file opened for each entry. */
function pythonSide(root) {
  const file = join(root, 'python');
  const sorted = (entry) => JSON.stringify(entry, Object.keys(entry).sort());
  let previous = '';
  return {
    entries: BLOCK_ENTRIES,
    run() {
      for (let call = 0; call < BLOCK_ENTRIES; call += 1) {
        const entry = buildStored(call, previous);
        previous = hash('sha256', sorted(entry));
        appendFileSync(file, `${sorted({ ...entry, entry_hash: previous })}\n`);
      }
    },
  };
}

async function openSide(options, { inFlight = 1, entries = BLOCK_ENTRIES } = {}) {
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
      let left = entries;
      const loop = async () => {
        while (left > 0) {
          left -= 1;
          call += 1;
          await trail.append(buildDecision(call));
        }
      };
      await Promise.all(Array.from({ length: inFlight }, loop));
    },
  };
}

const APPEND_SHOWS = 'CPU time of a whole append, RFC 6962 tree and lock of the trail included';
const APPEND_HIDES =
  'the latency of a disk that stalls the page cache; other entry sizes; several supervisors';

async function appendRows(root) {
  const bound = boundSide(root);
  const key = join(root, 'key');
  await generateKey({ out: key });
  const sides = {
    one: await openSide({ path: join(root, 'os') }),
    many: await openSide({ path: join(root, 'os-64') }, { inFlight: 64 }),
    signed: await openSide({ path: join(root, 'signed'), key }),
    queue: await openSide({ path: join(root, 'queue'), durability: 'queue' }),
  };
  const options = { rounds: BLOCKS, warmUp: WARM_UP_BLOCKS };
  const rows = [];
  const add = async (what, side, doesNotShow = APPEND_HIDES) => {
    const times = await interleave([side, bound], options);
    const detail = `${APPEND_SHOWS}: ${describe(times, 'µs')}`;
    rows.push({ what, ...atMost(costs(times), 1.7), unit: 'x', detail, doesNotShow });
  };
  const against = '/ build, stringify, hash, write';
  await add(`append (os) ${against}`, sides.one);
  await add(`append (os), 64 in flight ${against}`, sides.many);
  await add(`append (os), signed ${against}`, sides.signed);
  await add(`append (queue) ${against}`, sides.queue, 'that an entry can be lost with the process');
  const times = await interleave([sides.one, pythonSide(root)], options);
  rows.push({
    what: 'the Python algorithm in Node / append (os)',
    ...atLeast(gains(times), 2.3),
    unit: 'x',
    detail: `CPU time, each with its own way of writing: ${describe(times, 'µs')}`,
    doesNotShow: 'Python itself, which is slower than the same algorithm in Node',
  });
  for (const { trail } of Object.values(sides)) await trail.close();
  return rows;
}

/** One entry written and waited for, as a trail without group commit must. */
function syncEachSide(root) {
  const fd = openSync(join(root, 'sync-each'), 'a', 0o600);
  return {
    entries: 1,
    async run() {
      writeSync(fd, `${'x'.repeat(859)}\n`);
      await syncFile(fd);
    },
  };
}

async function diskRows(root) {
  let syncs = 0;
  const files = {
    ...nodeFileLayer,
    fdatasync(fd) {
      syncs += 1;
      return nodeFileLayer.fdatasync(fd);
    },
  };
  const shape = { inFlight: DISK_IN_FLIGHT, entries: 2 * DISK_IN_FLIGHT };
  const side = await openSide({ path: join(root, 'disk'), durability: 'disk', files }, shape);
  await side.run();
  syncs = 0;
  const options = { rounds: DISK_ROUNDS, warmUp: 0, clock: wallTime };
  const times = await interleave([side, syncEachSide(root)], options);
  await side.trail.close();
  const appended = DISK_ROUNDS * shape.entries;
  return [
    {
      what: `fdatasync per entry / append (disk), ${DISK_IN_FLIGHT} callers`,
      ...atLeast(gains(times), 50),
      unit: 'x',
      detail: `wall time with one disk, both sides in turn: ${describe(times, 'µs')}`,
      doesNotShow:
        'disks whose fdatasync takes under 1 ms: there the CPU time of an entry bounds it',
    },
    {
      what: `entries per fdatasync, ${DISK_IN_FLIGHT} callers that each wait for their own`,
      ...atLeast(appended / syncs, DISK_IN_FLIGHT / 2),
      unit: 'entries',
      detail: 'that concurrent callers share a commit, counted, on any disk',
      doesNotShow: 'how long one takes',
    },
  ];
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

async function verifyRow(root, entries) {
  const path = join(root, 'verify');
  const side = await openSide({ path }, { inFlight: 64, entries });
  await side.run();
  await side.trail.close();
  const ours = {
    entries,
    async run() {
      const { ok } = await verifyTrail(path);
      if (!ok) throw new Error('the trail does not verify');
    },
  };
  const theirs = { entries, run: () => parseAndHash(join(path, 'audit-000001.jsonl')) };
  const rounds = entries > 200_000 ? 3 : VERIFY_ROUNDS;
  const times = await interleave([ours, theirs], { rounds });
  return {
    what: `verify ${entries} entries / JSON.parse + SHA-256 per line`,
    ...atMost(costs(times), 1.3),
    unit: 'x',
    detail: `CPU time of chain, tree and strict form: ${describe(times, 'µs')}`,
    doesNotShow: 'compressed segments, signatures, a cold page cache',
  };
}

/**
 * Measures every audit row.
 *
 * @returns {Promise<import('./rows.js').Row[]>}
 */
export async function measureAudit({ verifyEntries = VERIFY_ENTRIES } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'audit-bench-'));
  try {
    return [
      ...(await appendRows(root)),
      ...(await diskRows(root)),
      await verifyRow(root, verifyEntries),
    ];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const verifyEntries = Number(process.argv[2] ?? VERIFY_ENTRIES);
  report(await measureAudit({ verifyEntries }));
}
