import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  type FileLayer,
  nodeFileLayer,
  openTrail,
  revealSalt,
  saltedDigest,
  verifyTrail,
} from '../../src/audit/index.ts';
import {
  decision,
  firstSegment,
  outcome,
  readLinesOf,
  scratchPath,
  writeTrail,
} from './sample-trail.ts';

const LEVELS = ['queue', 'os', 'disk'] as const;

test.each(LEVELS)(
  'at `%s` acknowledges entries in order and keeps all of them',
  async (durability) => {
    const path = scratchPath();
    const trail = await openTrail({ path, durability });
    const receipts = await Promise.all(
      Array.from({ length: 1_500 }, (_, index) => trail.append(decision(`call-${index}`))),
    );
    await trail.close();
    expect(receipts.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_500 }, (_, i) => i + 1));
    const report = await verifyTrail(path);
    expect(report).toMatchObject({ ok: true, entries: 1_501 });
    expect(report.headHash).toBe(receipts.at(-1)?.entryHash);
  },
);

test('at `os` the kernel has the entry before the append resolves', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  const { entryHash } = await trail.append(decision());
  expect(readLinesOf(firstSegment(path)).at(-1)).toContain(entryHash);
  await trail.close();
});

test('creates private files only', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(path)) {
    expect(statSync(join(path, name)).mode & 0o077, name).toBe(0);
  }
  expect(statSync(`${path}.digest-key`).mode & 0o777).toBe(0o600);
});

test('continues a trail where it was left', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 3);
  await writeTrail({ path }, 3);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 13 });
});

test('cuts a torn last line off and records what was lost', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 3);
  appendFileSync(firstSegment(path), '{"half":');
  await writeTrail({ path }, 1);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 10 });
  const recovery = JSON.parse(readLinesOf(firstSegment(path))[7] as string);
  expect(recovery).toMatchObject({ type: 'recovery', torn: { bytes: 8 } });
});

test('keeps a last line that only lacks its line feed', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 3);
  truncateSync(firstSegment(path), statSync(firstSegment(path)).size - 1);
  await writeTrail({ path }, 1);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 9 });
});

const { ENFORCECORE_TEST_SLOW } = process.env;
const isSlow = ENFORCECORE_TEST_SLOW === '1';

test('[sweep-every-truncation] takes over after a cut at any byte of the last lines', {
  timeout: isSlow ? 300_000 : 30_000,
}, async () => {
  const source = scratchPath();
  await writeTrail({ path: source }, 2);
  const whole = readFileSync(firstSegment(source));
  const lines = readLinesOf(firstSegment(source));
  const kept = lines.slice(0, -2).join('\n').length + 1;
  for (let length = kept; length < whole.length; length += isSlow ? 1 : 53) {
    const path = scratchPath();
    mkdirSync(path);
    writeFileSync(firstSegment(path), whole.subarray(0, length));
    const before = await verifyTrail(path);
    expect([0, 3], `cut at ${length}`).toContain(before.exitCode);
    await writeTrail({ path }, 1);
    expect((await verifyTrail(path)).ok, `cut at ${length}`).toBe(true);
  }
});

test('refuses to continue behind a damaged entry', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 3);
  const text = readFileSync(firstSegment(path), 'utf8');
  writeFileSync(firstSegment(path), text.replace('fetch_page', 'fetch_xxxx'));
  await expect(openTrail({ path })).rejects.toMatchObject({ code: 'ENF_AUDIT_OPEN' });
});

/** A file layer whose writes go wrong once `isFailing` is set. */
function failingLayer(write: (bytes: Uint8Array) => number) {
  const state = { isFailing: false };
  const files: FileLayer = {
    ...nodeFileLayer,
    writeSync: (fd, bytes) =>
      state.isFailing ? writePart(fd, bytes, write(bytes)) : nodeFileLayer.writeSync(fd, bytes),
    write: async (fd, bytes) => files.writeSync(fd, bytes),
  };
  return { files, state };
}

const writePart = (fd: number, bytes: Uint8Array, length: number) =>
  nodeFileLayer.writeSync(fd, bytes.subarray(0, length));

test.each(LEVELS)(
  '[enospc-short-write] at `%s` fails closed when the disk takes a part of an entry',
  async (durability) => {
    const path = scratchPath();
    const { files, state } = failingLayer((bytes) => bytes.length - 200);
    const trail = await openTrail({ path, files, durability });
    await trail.append(decision());
    await trail.flush();
    state.isFailing = true;
    const append = trail.append(outcome());
    if (durability === 'queue') await append;
    else await expect(append).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    await expect(trail.flush()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    state.isFailing = false;
    await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 2 });
    await writeTrail({ path }, 1);
    expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 4 });
  },
);

test('fails closed when there is no space for a single byte', async () => {
  const path = scratchPath();
  const { files, state } = failingLayer(() => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  const trail = await openTrail({ path, files });
  state.isFailing = true;
  await expect(trail.append(decision())).rejects.toThrow(/ENOSPC/);
  await expect(trail.append(decision())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 1 });
});

test('[eio-on-fdatasync] leaves no acknowledgement behind an fdatasync that failed', async () => {
  const path = scratchPath();
  const state = { isFailing: false };
  const files: FileLayer = {
    ...nodeFileLayer,
    fdatasync: async (fd) => {
      if (state.isFailing)
        throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
      return nodeFileLayer.fdatasync(fd);
    },
  };
  const trail = await openTrail({ path, files, durability: 'disk' });
  await trail.append(decision());
  state.isFailing = true;
  await expect(trail.append(outcome())).rejects.toThrow(/EIO/);
  state.isFailing = false;
  await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
});

test('[inode-swap-while-open] notices that its file was replaced', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  await trail.append(decision());
  await trail.flush();
  renameSync(firstSegment(path), join(path, 'elsewhere'));
  writeFileSync(firstSegment(path), '');
  await new Promise((resolve) => setImmediate(resolve));
  await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
});

test('two trails on one directory share it without losing an entry', async () => {
  const path = scratchPath();
  const [a, b] = await Promise.all([openTrail({ path }), openTrail({ path })]);
  const receipts = await Promise.all(
    Array.from({ length: 1_000 }, (_, index) => (index % 2 ? a : b).append(decision(`c-${index}`))),
  );
  await Promise.all([a.close(), b.close()]);
  expect(new Set(receipts.map(({ seq }) => seq)).size).toBe(1_000);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 1_001 });
});

test('begins a new segment when the size is reached, and the chain goes on', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096, compress: false }, 20);
  expect(readdirSync(path).filter((name) => name.endsWith('.jsonl')).length).toBeGreaterThan(3);
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ ok: true, problems: [] });
});

test('refuses a digest key that others may read', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  chmodSync(`${path}.digest-key`, 0o644);
  await expect(openTrail({ path })).rejects.toMatchObject({ code: 'ENF_AUDIT_KEY' });
});

test('gives the same digest for the same call and bytes only', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  const digest = trail.digest('call-1', '{"a":1}');
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(trail.digest('call-1', Buffer.from('{"a":1}'))).toBe(digest);
  expect(trail.digest('call-2', '{"a":1}')).not.toBe(digest);
  expect(trail.digest('call-1', '{"a":2}')).not.toBe(digest);
  await trail.close();
  const salt = revealSalt(`${path}.digest-key`, 'call-1');
  expect(saltedDigest(Buffer.from(salt, 'hex'), '{"a":1}')).toBe(digest);
  expect(() => revealSalt(`${path}.other`, 'call-1')).toThrow(/cannot be read/);
  writeFileSync(`${path}.other`, 'no key', { mode: 0o600 });
  expect(() => revealSalt(`${path}.other`, 'call-1')).toThrow(/64 hex digits/);
});

test('no content makes an entry unwritable', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  await trail.append(decision('\ud800 lone', { redactions: { '10': 1, '2': 2, b: 1, a: 3 } }));
  await trail.append(outcome('x'.repeat(200_000), { result: 'é'.repeat(100_000) }));
  await trail.append(
    outcome('n', {
      usage: {
        wallMs: Number.NaN,
        cpuMs: -0,
        peakMemoryBytes: 1e21,
        outputBytes: 1e-7,
        costUsd: Infinity,
      },
    }),
  );
  await trail.append({ type: 'kill_switch', action: 'trip', reason: '\u0000\u007f\u2028"\\' });
  await trail.append({
    type: 'egress',
    callId: 'c',
    host: 'h',
    port: 443,
    bytesIn: 1,
    bytesOut: 2,
    effect: 'deny',
  });
  await trail.close();
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 6 });
});

test('refuses appends once closed', async () => {
  const trail = await openTrail({ path: scratchPath() });
  await trail.close();
  await expect(trail.append(decision())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  await trail.close();
});

test('[readonly-file] refuses to open what cannot be written', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  const files: FileLayer = {
    ...nodeFileLayer,
    openSync: (name, flags) => {
      if ((flags & 3) !== 0)
        throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
      return nodeFileLayer.openSync(name, flags);
    },
  };
  await expect(openTrail({ path, files })).rejects.toMatchObject({
    code: 'ENF_AUDIT_OPEN',
    message: expect.stringContaining('EROFS'),
  });
  await expect(openTrail({ path: join(firstSegment(path), 'x') })).rejects.toMatchObject({
    code: 'ENF_AUDIT_OPEN',
  });
});

test('a file system that becomes read-only fails the append and corrupts nothing', async () => {
  const path = scratchPath();
  const state = { isReadOnly: false };
  const guard =
    <Args extends unknown[], Result>(run: (...args: Args) => Result) =>
    (...args: Args): Result => {
      if (state.isReadOnly)
        throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
      return run(...args);
    };
  const { writeSync, linkSync, unlinkSync, ftruncateSync } = nodeFileLayer;
  const files: FileLayer = {
    ...nodeFileLayer,
    writeSync: guard(writeSync),
    linkSync: guard(linkSync),
    unlinkSync: guard(unlinkSync),
    ftruncateSync: guard(ftruncateSync),
  };
  const trail = await openTrail({ path, files });
  await trail.append(decision());
  state.isReadOnly = true;
  await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  state.isReadOnly = false;
  await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 2 });
});

test('[world-writable-dir] warns of a directory that others may write', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  chmodSync(path, 0o777);
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  await writeTrail({ path }, 1);
  expect((await warned).message).toMatch(/others may write/);
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ ok: true, warnings: [{ kind: 'writable_by_others' }] });
});

test.each(LEVELS)(
  '[10k-parallel-record] at `%s` 10,000 appends at once have no gap',
  { timeout: 30_000 },
  async (durability) => {
    const path = scratchPath();
    const trail = await openTrail({ path, durability });
    const receipts = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) => trail.append(decision(`c${i}`))),
    );
    await trail.close();
    expect(receipts.every(({ seq }, index) => seq === index + 1)).toBe(true);
    expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 10_001 });
  },
);

test('more than 65,536 waiting appends are refused, not dropped', { timeout: 60_000 }, async () => {
  const path = scratchPath();
  const trail = await openTrail({ path, durability: 'disk' });
  const results = await Promise.allSettled(
    Array.from({ length: 65_600 }, () =>
      trail.append({ type: 'kill_switch', action: 'trip', reason: 'r' }),
    ),
  );
  await trail.close();
  const refused = results.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(64);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 65_537 });
});

test.each(['queue', 'disk'] as const)(
  '[slow-disk-backpressure] at `%s` a disk that stalls does not stall the event loop',
  async (durability) => {
    const path = scratchPath();
    let stall: Promise<void> | null = null;
    let release = () => {};
    let largest = 0;
    const files: FileLayer = {
      ...nodeFileLayer,
      write: async (fd, bytes) => {
        largest = Math.max(largest, bytes.length);
        await stall;
        return nodeFileLayer.write(fd, bytes);
      },
      fdatasync: async (fd) => {
        await stall;
        return nodeFileLayer.fdatasync(fd);
      },
    };
    const trail = await openTrail({ path, durability, files });
    stall = new Promise((resolve) => {
      release = resolve;
    });
    const large = { ...outcome('c'), result: 'x'.repeat(60_000) } as const;
    const settled: number[] = [];
    const appends = Array.from({ length: 400 }, (_, i) =>
      trail.append(large).then(() => settled.push(i)),
    );
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    // What `queue` acknowledges ahead of the disk is bounded; `disk` acknowledges nothing.
    expect(settled.length).toBeLessThan(durability === 'queue' ? 250 : 1);
    stall = null;
    release();
    await Promise.all(appends);
    await trail.close();
    expect(settled).toHaveLength(400);
    expect(largest).toBeLessThan(64 * 1024 * 1024);
    expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 401 });
  },
);

test('[fork-worker-threads] entries from several threads keep the order of each', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  const threads = Array.from({ length: 3 }, (_, thread) => {
    const code = `const { parentPort } = require('node:worker_threads');
      for (let i = 0; i < 200; i += 1) parentPort.postMessage('${thread}-' + i);`;
    return new Worker(code, { eval: true });
  });
  const appends: Promise<unknown>[] = [];
  for (const thread of threads) {
    thread.on('message', (reason: string) =>
      appends.push(trail.append({ type: 'kill_switch', action: 'trip', reason })),
    );
  }
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
  await Promise.all(appends);
  await trail.close();
  const reasons = readLinesOf(firstSegment(path))
    .slice(1)
    .map((line) => JSON.parse(line).reason as string);
  for (const thread of [0, 1, 2]) {
    const own = reasons.filter((reason) => reason.startsWith(`${thread}-`));
    expect(own).toEqual(Array.from({ length: 200 }, (_, i) => `${thread}-${i}`));
  }
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 601 });
});

test('refuses a network file system', async () => {
  const files: FileLayer = { ...nodeFileLayer, fileSystemType: () => 0x6969 };
  await expect(openTrail({ path: scratchPath(), files })).rejects.toThrow(
    /local file system, got nfs/,
  );
});

test('an entry that is no JSON is refused, and keeps neither the trail nor its lock', async () => {
  const path = scratchPath();
  const [a, b] = [await openTrail({ path }), await openTrail({ path })];
  const circular: unknown[] = [];
  circular.push(circular);
  for (const args of [1n, circular] as never[]) {
    await expect(a.append(decision('c', { args }))).rejects.toMatchObject({
      code: 'ENF_AUDIT_ENTRY',
    });
    await new Promise((resolve) => setImmediate(resolve));
    await b.append(decision());
    await new Promise((resolve) => setImmediate(resolve));
  }
  await a.append(outcome());
  await Promise.all([a.close(), b.close()]);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 4 });
});

test('gives the lock back before a function of this process runs', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  await trail.append(decision('c', { target: { kind: 'function', path: 'save' } }));
  expect(readdirSync(path)).not.toContain('lock');
  await trail.append(outcome('c'));
  expect(readdirSync(path)).toContain('lock');
  await new Promise((resolve) => setImmediate(resolve));
  expect(readdirSync(path)).not.toContain('lock');
  await trail.close();
});
