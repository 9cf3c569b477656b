import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  generateKey,
  openTrail,
  readTrail,
  type TrailOptions,
  verifyTrail,
} from '../../src/audit/index.ts';
import { outcome, scratchPath } from './sample-trail.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const isSlow = ENFORCECORE_TEST_SLOW === '1';

interface Writer {
  readonly child: ChildProcess;
  readonly acknowledged: { seq: number; entryHash: string }[];
  readonly ended: Promise<number | null>;
}

function startWriter(options: TrailOptions, entries: number, inFlight: number): Writer {
  const args = [
    'test/audit/writer-process.js',
    JSON.stringify(options),
    `${entries}`,
    `${inFlight}`,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged: { seq: number; entryHash: string }[] = [];
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines.filter((one) => one !== 'ready')) {
      const [seq, entryHash] = line.split(' ') as [string, string];
      acknowledged.push({ seq: Number(seq), entryHash });
    }
  });
  return {
    child,
    acknowledged,
    ended: once(child, 'close').then(([code]) => code as number | null),
  };
}

/** Kills a writer when it has acknowledged this many entries. */
async function killAfter(writer: Writer, count: number): Promise<void> {
  while (writer.acknowledged.length < count) await once(writer.child.stdout as never, 'data');
  writer.child.kill('SIGKILL');
  await writer.ended;
}

async function expectNothingLost(
  path: string,
  acknowledged: Writer['acknowledged'],
): Promise<void> {
  const hashes = new Map<number, string>();
  for await (const entry of readTrail(path)) hashes.set(entry.seq, entry.entry_hash);
  const lost = acknowledged.filter(({ seq, entryHash }) => hashes.get(seq) !== entryHash);
  expect(lost).toEqual([]);
}

async function killAndResume(
  options: TrailOptions & { path: string },
  rounds: number,
  inFlight: number,
) {
  for (let round = 0; round < rounds; round += 1) {
    const writer = startWriter(options, 0, inFlight);
    await killAfter(writer, 1 + Math.floor(Math.random() * 400));
    const torn = await verifyTrail(options.path);
    expect([0, 3], JSON.stringify(torn.problems)).toContain(torn.exitCode);
    await expectNothingLost(options.path, writer.acknowledged);
  }
  const trail = await openTrail(options);
  await trail.append(outcome('after the crashes'));
  await trail.close();
  expect((await verifyTrail(options.path)).problems).toEqual([]);
}

const ROUNDS = isSlow ? 200 : 6;
const TIMEOUT_MS = isSlow ? 540_000 : 60_000;

test('[kill9-sync-writer] kill -9 loses no acknowledged entry at `os`', {
  timeout: TIMEOUT_MS,
}, async () => {
  await killAndResume({ path: scratchPath() }, ROUNDS, 1);
});

test('[kill9-batch-writer] kill -9 during a group commit loses none at `disk`', {
  timeout: TIMEOUT_MS,
}, async () => {
  await killAndResume({ path: scratchPath(), durability: 'disk' }, isSlow ? 50 : 3, 64);
});

test('[kill9-during-rotation] kill -9 while segments, keys and gzip files change', {
  timeout: TIMEOUT_MS,
}, async () => {
  const key = scratchPath('audit.key');
  const { vkey } = await generateKey({ out: key });
  const options = { path: scratchPath(), key, rotateBytes: 8_192 };
  await killAndResume(options, isSlow ? 50 : 4, 16);
  const report = await verifyTrail(options.path, { key: vkey, maxUnsigned: 0 });
  expect(report.problems).toEqual([]);
  expect(report.level).toBe('signed');
});

test('four processes on one trail lose no entry', { timeout: TIMEOUT_MS }, async () => {
  const entries = isSlow ? 5_000 : 1_000;
  const options = { path: scratchPath() };
  const writers = Array.from({ length: 4 }, () => startWriter(options, entries, 4));
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  const acknowledged = writers.flatMap((writer) => writer.acknowledged);
  expect(acknowledged).toHaveLength(4 * entries);
  expect(await verifyTrail(options.path)).toMatchObject({
    ok: true,
    entries: 4 * entries + 1,
    problems: [],
  });
  await expectNothingLost(options.path, acknowledged);
});

test('[rotation-under-load] four processes share a trail that rotates and is signed', {
  timeout: TIMEOUT_MS,
}, async () => {
  const key = scratchPath('audit.key');
  const { vkey } = await generateKey({ out: key });
  const options = { path: scratchPath(), key, rotateBytes: 65_536 };
  const entries = isSlow ? 3_000 : 400;
  const writers = Array.from({ length: 4 }, () => startWriter(options, entries, 8));
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  const report = await verifyTrail(options.path, { key: vkey, maxUnsigned: 0 });
  expect(report.problems).toEqual([]);
  expect(report.level).toBe('signed');
  await expectNothingLost(
    options.path,
    writers.flatMap((writer) => writer.acknowledged),
  );
  expect(readFileSync(join(options.path, 'handovers'), 'utf8')).not.toBe('');
});

test('[retention-under-load] several processes rotate, compress and remove segments', {
  timeout: TIMEOUT_MS,
}, async () => {
  const key = scratchPath('audit.key');
  const { vkey } = await generateKey({ out: key });
  const options = { path: scratchPath(), key, rotateBytes: 32_768, retainMs: 300 };
  const entries = isSlow ? 3_000 : 600;
  const writers = Array.from({ length: 3 }, () => startWriter(options, entries, 8));
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual([0, 0, 0]);
  const acknowledged = writers.flatMap((writer) => writer.acknowledged);
  expect(new Set(acknowledged.map(({ seq }) => seq)).size).toBe(3 * entries);
  const report = await verifyTrail(options.path, { key: vkey, maxUnsigned: 0 });
  expect(report.problems).toEqual([]);
  expect(report.entries).toBeGreaterThan(3 * entries);
  // What is left was not changed; what is gone was announced, or verify would say otherwise.
  const left = new Map<number, string>();
  for await (const entry of readTrail(options.path)) left.set(entry.seq, entry.entry_hash);
  const changed = acknowledged.filter(
    ({ seq, entryHash }) => left.has(seq) && left.get(seq) !== entryHash,
  );
  expect(changed).toEqual([]);
});

test('a clock that goes back warns, and neither rotates, removes nor breaks anything', async () => {
  const path = scratchPath();
  let now = Date.UTC(2026, 5, 1);
  const hour = 3_600_000;
  const options = { path, clock: () => new Date(now), rotateAgeMs: 10 * hour, retainMs: 20 * hour };
  const trail = await openTrail(options);
  for (const step of [hour, -5 * hour, hour, -100 * hour, hour]) {
    now += step;
    await trail.append(outcome(`at ${now}`));
  }
  await trail.close();
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ ok: true, entries: 6, problems: [] });
  expect(report.warnings.map(({ kind }) => kind)).toEqual(['clock_backwards', 'clock_backwards']);
});
