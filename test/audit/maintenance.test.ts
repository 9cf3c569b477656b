import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import {
  type FileLayer,
  nodeFileLayer,
  openTrail,
  type TrailOptions,
  verifyTrail,
} from '../../src/audit/index.ts';
import { decision, firstSegment, readLinesOf, scratchPath, writeTrail } from './sample-trail.ts';
import { copyTrail, newSigner, segment, signCheckpoint } from './tampering.ts';

const DAY_MS = 86_400_000;
const segmentsOf = (path: string) =>
  readdirSync(path).filter((name) => /^audit-\d+\.jsonl(\.gz)?$/.test(name));
const kindsOf = (report: Awaited<ReturnType<typeof verifyTrail>>) =>
  report.problems.map(({ kind }) => kind);
const warningsOf = (report: Awaited<ReturnType<typeof verifyTrail>>) =>
  report.warnings.map(({ kind }) => kind);

/** Writes a segment a day and hands the clock on; closes the trail. */
async function writeDays(options: TrailOptions & { path: string }, startMs: number, days: number) {
  let now = startMs;
  const trail = await openTrail({ ...options, clock: () => new Date(now), rotateAgeMs: DAY_MS });
  for (let day = 0; day < days; day += 1) {
    for (let call = 0; call < 3; call += 1) await trail.append(decision(`${now}-${call}`));
    now += DAY_MS;
  }
  await trail.append(decision('last'));
  if (options.retainMs !== undefined) {
    const hasFirst = () =>
      segmentsOf(options.path).some((name) => name.startsWith('audit-000001.'));
    await vi.waitFor(() => expect(hasFirst()).toBe(false), 10_000);
  }
  await trail.close();
  return now;
}

test('compresses closed segments and verifies them all the same', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096, compress: false }, 20);
  const plain = readFileSync(segment(path, 1));
  const trail = await openTrail({ path });
  await vi.waitFor(
    () => expect(segmentsOf(path).filter((name) => name.endsWith('.jsonl'))).toHaveLength(1),
    5_000,
  );
  await trail.close();
  expect(gunzipSync(readFileSync(`${segment(path, 1)}.gz`))).toEqual(plain);
  expect(nodeFileLayer.statSync(`${segment(path, 1)}.gz`)?.mode).toBe(0o100400);
  expect(await verifyTrail(path)).toMatchObject({
    ok: true,
    entries: 41 + segmentsOf(path).length - 1,
  });
});

test('[kill9-during-gzip] a half-written compressed file changes nothing', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096, compress: false }, 10);
  writeFileSync(
    `${segment(path, 1)}.gz-11111111-2222-4333-8444-555555555555-1.tmp`,
    gzipSync(readFileSync(segment(path, 1))).subarray(0, 50),
  );
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
  await writeTrail({ path }, 1);
  expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});

test('a crash between compressing and removing leaves both files and a sound trail', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096, compress: false }, 10);
  writeFileSync(`${segment(path, 1)}.gz`, gzipSync(readFileSync(segment(path, 1))));
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ ok: true });
  expect(warningsOf(report)).toEqual(['duplicate_segment']);
});

test('[enospc-on-gzip] the plain segment stays when there is no room to compress it', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096, compress: false }, 10);
  const names = segmentsOf(path);
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const files: FileLayer = {
    ...nodeFileLayer,
    chmodSync: () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    },
  };
  const trail = await openTrail({ path, files });
  expect((await warned).message).toMatch(/closed segments stay as they are: ENOSPC/);
  await trail.append(decision());
  await trail.close();
  expect(segmentsOf(path)).toEqual(names);
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});

test('removes segments that are older than the trail retains, and says so in the trail', async () => {
  const path = scratchPath();
  const signer = newSigner();
  const options = { path, key: signer, retainMs: 2.5 * DAY_MS };
  await writeDays(options, Date.UTC(2026, 0, 1), 6);
  const numbers = segmentsOf(path).map((name) => Number(name.slice(6, 12)));
  expect(numbers[0]).toBeGreaterThan(1);
  const report = await verifyTrail(path, { key: signer.vkey, maxUnsigned: 0 });
  expect(report).toMatchObject({ ok: true, level: 'signed' });
  expect(warningsOf(report)).toEqual(['pruned_by_policy']);
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});

test('a trail whose keys changed verifies after its first segments were removed', async () => {
  const { generateKey } = await import('../../src/audit/index.ts');
  const key = scratchPath('audit.key');
  const { vkey } = await generateKey({ out: key });
  const path = scratchPath();
  await writeDays({ path, key, retainMs: 2.5 * DAY_MS }, Date.UTC(2026, 0, 1), 6);
  expect(existsSync(segment(path, 1)) || existsSync(`${segment(path, 1)}.gz`)).toBe(false);
  const report = await verifyTrail(path, { key: vkey, maxUnsigned: 0 });
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ ok: true, level: 'signed' });
});

test('[retention-mid-segment] the segment that is written is never removed', async () => {
  const path = scratchPath();
  let now = Date.UTC(2026, 0, 1);
  const options = { path, clock: () => new Date(now), retainMs: 1 };
  await writeTrail(options, 3);
  now += 400 * DAY_MS;
  await writeTrail(options, 3);
  expect(segmentsOf(path)).toEqual(['audit-000001.jsonl']);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 13 });
});

test('[retention-crash-before-unlink] removing is finished at the next start', async () => {
  const path = scratchPath();
  const signer = newSigner();
  const options = { path, key: signer, compress: false };
  const now = await writeDays(options, Date.UTC(2026, 0, 1), 5);
  const files: FileLayer = {
    ...nodeFileLayer,
    unlinkSync: (name) => {
      if (name.endsWith('.jsonl')) throw new Error('the process is dead');
      nodeFileLayer.unlinkSync(name);
    },
  };
  const retaining = { ...options, retainMs: 2.5 * DAY_MS, clock: () => new Date(now) };
  const warned = new Promise((resolve) => process.once('warning', resolve));
  const dying = await openTrail({ ...retaining, files });
  await warned;
  await dying.close();
  expect(await verifyTrail(path, { key: signer.vkey })).toMatchObject({ ok: true, warnings: [] });
  const trail = await openTrail(retaining);
  await vi.waitFor(() => expect(existsSync(segment(path, 1))).toBe(false), 5_000);
  await trail.close();
  const report = await verifyTrail(path, { key: signer.vkey });
  expect(report.ok).toBe(true);
  expect(warningsOf(report)).toEqual(['pruned_by_policy']);
});

test('[retention-entry-forged] a retention entry that nobody signed excuses nothing', async () => {
  const source = scratchPath();
  const signer = newSigner();
  await writeTrail({ path: source, key: signer, rotateBytes: 4_096, compress: false }, 10);
  const signed = readFileSync(join(source, 'checkpoint'));
  const path = copyTrail(source);
  const { openDirectoryTrail } = await import('../../src/audit/open-trail.ts');
  const trail = await openDirectoryTrail({ path, key: signer, compress: false });
  await trail.appendOwn({ type: 'retention', retainMs: 1, firstKept: 2, segments: [] });
  await trail.close();
  writeFileSync(join(path, 'checkpoint'), signed);
  rmSync(segment(path, 1));
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
  expect(kindsOf(await verifyTrail(path, { key: signer.vkey }))).toContain('missing_segment');
});

test('segments behind the first one that stays may not be missing', async () => {
  const path = scratchPath();
  const signer = newSigner();
  await writeDays(
    { path, key: signer, retainMs: 2.5 * DAY_MS, compress: false },
    Date.UTC(2026, 0, 1),
    6,
  );
  const [first] = segmentsOf(path);
  rmSync(join(path, first as string));
  expect(kindsOf(await verifyTrail(path, { key: signer.vkey }))).toEqual(['missing_segment']);
});

test('a checkpoint that covers only removed entries proves nothing', async () => {
  const path = scratchPath();
  const signer = newSigner();
  await writeDays(
    { path, key: signer, retainMs: 2.5 * DAY_MS, compress: false },
    Date.UTC(2026, 0, 1),
    6,
  );
  const old = await signCheckpoint(signer, 2, Buffer.alloc(32));
  const anchor = scratchPath('anchor');
  writeFileSync(anchor, old);
  const anchored = await verifyTrail(path, { key: signer.vkey, checkpoint: anchor });
  expect(anchored).toMatchObject({ ok: true, level: 'signed' });
  expect(warningsOf(anchored)).toContain('anchor_pruned');
  writeFileSync(join(path, 'checkpoint'), old);
  rmSync(join(path, 'checkpoints'));
  expect(kindsOf(await verifyTrail(path, { key: signer.vkey }))).toContain(
    'checkpoint_before_trail',
  );
});

/** As chattr +a makes the first segment: it can be neither cut nor get another mode. */
function appendOnlyLayer(path: string): FileLayer {
  const { ino } = nodeFileLayer.statSync(firstSegment(path)) ?? {};
  const forbid =
    (run: (fd: number, value: number) => void) =>
    (fd: number, value: number): void => {
      if (nodeFileLayer.fstatSync(fd).ino === ino) {
        throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
      }
      run(fd, value);
    };
  return {
    ...nodeFileLayer,
    ftruncateSync: forbid(nodeFileLayer.ftruncateSync),
    fchmodSync: forbid(nodeFileLayer.fchmodSync),
  };
}

async function expectTornBytesKept(path: string, files: FileLayer): Promise<void> {
  const torn = '{"half":';
  appendFileSync(firstSegment(path), torn);
  await writeTrail({ path, files, compress: false }, 2);
  await writeTrail({ path, files, compress: false, rotateBytes: 2_048 }, 4);
  const header = JSON.parse(readLinesOf(segment(path, 2))[0] as string);
  expect(header.torn).toMatchObject({ bytes: torn.length });
  const report = await verifyTrail(path);
  expect(report.problems).toEqual([]);
  expect(warningsOf(report)).toEqual(['torn_bytes_kept']);
  appendFileSync(firstSegment(path), 'x');
  expect(kindsOf(await verifyTrail(path))).toEqual(['torn_middle_segment']);
}

test('[chattr-append-only] torn bytes that cannot be cut are recorded in the next segment', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  await expectTornBytesKept(path, appendOnlyLayer(path));
});

/** Whether this user and file system know the attribute. */
function hasAppendOnly(): boolean {
  const file = scratchPath('probe');
  writeFileSync(file, '');
  const isSet = spawnSync('chattr', ['+a', file]).status === 0;
  return isSet && spawnSync('chattr', ['-a', file]).status === 0;
}

test.skipIf(!hasAppendOnly())('the same with the attribute itself', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  appendFileSync(firstSegment(path), '{"half":');
  spawnSync('chattr', ['+a', firstSegment(path)]);
  try {
    await writeTrail({ path, compress: false }, 2);
    expect(JSON.parse(readLinesOf(segment(path, 2))[0] as string).torn).toMatchObject({ bytes: 8 });
    expect(await verifyTrail(path)).toMatchObject({ ok: true });
  } finally {
    spawnSync('chattr', ['-a', firstSegment(path)]);
  }
});

test('two supervisors follow each other over an append-only segment', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  const options = { path, files: appendOnlyLayer(path), compress: false };
  const a = await openTrail(options);
  const b = await openTrail({ ...options, rotateBytes: 1_024 });
  for (let call = 0; call < 6; call += 1) {
    await a.append(decision(`a${call}`));
    await new Promise((resolve) => setImmediate(resolve));
    await b.append(decision(`b${call}`));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all([a.close(), b.close()]);
  expect((await verifyTrail(path)).problems).toEqual([]);
});

test('starts behind a segment that was closed and has no successor', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  nodeFileLayer.chmodSync(firstSegment(path), 0o400);
  await writeTrail({ path, compress: false }, 2);
  expect(segmentsOf(path)).toHaveLength(2);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 10 });
});

test('leaves alone what was written behind the end of a closed segment, and says so', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  const before = readFileSync(firstSegment(path), 'utf8');
  writeFileSync(firstSegment(path), `${before}{"half":`);
  nodeFileLayer.chmodSync(firstSegment(path), 0o400);
  await writeTrail({ path, compress: false }, 2);
  expect(readFileSync(firstSegment(path), 'utf8')).toBe(`${before}{"half":`);
  expect(readLinesOf(segment(path, 2))[0]).toContain('"torn":{"bytes":8');
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});

test('drops the draft of a segment whose header never became whole', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  writeFileSync(`${segment(path, 2)}.tmp`, '{"half":');
  await writeTrail({ path }, 2);
  expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 9 });
});

test.each([
  [
    'a link',
    (path: string) => {
      const real = join(dirname(path), 'real');
      copyFileSync(firstSegment(path), real);
      rmSync(firstSegment(path));
      spawnSync('ln', ['-s', real, firstSegment(path)]);
    },
  ],
  [
    'a pipe',
    (path: string) => {
      rmSync(firstSegment(path));
      spawnSync('mkfifo', [firstSegment(path)]);
    },
  ],
  [
    'a file with a second name',
    (path: string) => {
      spawnSync('ln', [firstSegment(path), join(dirname(path), 'second')]);
    },
  ],
])('refuses to write into %s', async (_, replace) => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  replace(path);
  await expect(openTrail({ path })).rejects.toMatchObject({ code: 'ENF_AUDIT_OPEN' });
});

test('a link or a pipe in the place of a segment is not read', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  rmSync(firstSegment(path));
  spawnSync('mkfifo', [firstSegment(path)]);
  expect(kindsOf(await verifyTrail(path))).toEqual(['not_regular_file']);
  rmSync(firstSegment(path));
  spawnSync('ln', ['-s', '/dev/zero', firstSegment(path)]);
  expect(kindsOf(await verifyTrail(path))).toEqual(['not_regular_file']);
});
