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
import { expect, test } from 'vitest';
import { type FileLayer, nodeFileLayer, openTrail, verifyTrail } from '../../src/audit/index.ts';
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

test('takes over after a cut at any byte of the last lines', async () => {
  const source = scratchPath();
  await writeTrail({ path: source }, 2);
  const whole = readFileSync(firstSegment(source));
  const lines = readLinesOf(firstSegment(source));
  const kept = lines.slice(0, -2).join('\n').length + 1;
  for (let length = kept; length < whole.length; length += 7) {
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
  'at `%s` fails closed when the disk takes a part of an entry',
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

test('leaves no acknowledgement behind an fdatasync that failed', async () => {
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

test('notices that its file was replaced', async () => {
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
  await writeTrail({ path, rotateBytes: 4_096 }, 20);
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
