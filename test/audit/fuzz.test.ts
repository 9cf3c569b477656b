import { appendFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { verifyTrail } from '../../src/audit/index.ts';
import { firstSegment, scratchPath, writeTrail } from './sample-trail.ts';
import { copyTrail, makeSampleTrail, newSigner, type SampleTrail, segment } from './tampering.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const isSlow = ENFORCECORE_TEST_SLOW === '1';
const TIMEOUT_MS = isSlow ? 580_000 : 60_000;
/** A prime, so that a sparse sweep meets all kinds of bytes. */
const STEP = isSlow ? 1 : 13;

let sample: SampleTrail;
beforeAll(async () => {
  sample = await makeSampleTrail();
});

test('[sweep-every-byte] every flipped bit of a trail is found', {
  timeout: TIMEOUT_MS,
}, async () => {
  const path = scratchPath();
  await writeTrail({ path }, isSlow ? 4 : 2);
  const file = firstSegment(path);
  const bytes = readFileSync(file);
  const missed: number[] = [];
  for (let at = 0; at < bytes.length; at += STEP) {
    for (let bit = 1; bit < 256; bit *= isSlow ? 2 : 16) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ bit;
      writeFileSync(file, flipped);
      if ((await verifyTrail(path)).ok) missed.push(at);
    }
  }
  expect(missed).toEqual([]);
});

test('every flipped bit of a checkpoint is found', { timeout: TIMEOUT_MS }, async () => {
  const path = copyTrail(sample.path);
  const file = join(path, 'checkpoint');
  const bytes = readFileSync(file);
  const missed: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] as number) ^ 1;
    writeFileSync(file, flipped);
    if ((await verifyTrail(path, { key: sample.signer.vkey })).ok) missed.push(at);
  }
  expect(missed).toEqual([]);
});

test('a checkpoint finds every cut into what it covers', { timeout: TIMEOUT_MS }, async () => {
  const path = copyTrail(sample.path);
  const file = segment(path, 3);
  const { length } = readFileSync(file);
  const end = Buffer.byteLength(readFileSync(file, 'utf8').split('\n').slice(0, 24).join('\n')) + 1;
  for (let size = length; size > 0; size -= isSlow ? 7 : 911) {
    truncateSync(file, size);
    const { exitCode } = await verifyTrail(path, { key: sample.signer.vkey });
    expect(size < end ? [1] : [0, 3], `cut at ${size}`).toContain(exitCode);
  }
});

/** Bytes that look like a trail often enough to reach every branch. */
const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(
      '\n',
      '\r\n',
      '{}',
      '{"v":1}',
      '42',
      '[',
      '"',
      '\u2014 a b\n',
      '\n\n',
      '\0',
      '\ufeff',
      '1e999',
    )
    .map((text) => Buffer.from(text)),
  fc.nat(20).map((index) => Buffer.from(`${sample.newest.slice(index * 5)}`)),
  fc.nat(86).map((index) => {
    const lines = [1, 2, 3].flatMap((n) =>
      readFileSync(segment(sample.path, n), 'utf8').split('\n').slice(0, -1),
    );
    return Buffer.from(`${lines[index]}\n`);
  }),
);
const files = fc.array(pieces, { maxLength: 12 }).map((parts) => Buffer.concat(parts));

test('verifying never throws, whatever the files hold', { timeout: TIMEOUT_MS }, async () => {
  const trail = fc.record({
    one: files,
    two: files,
    gz: files,
    checkpoint: files,
    history: files,
    handovers: files,
    isGz: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(trail, async ({ one, two, gz, checkpoint, history, handovers, isGz }) => {
      const path = scratchPath();
      mkdirSync(path);
      writeFileSync(segment(path, 1), one);
      writeFileSync(segment(path, 2), two);
      writeFileSync(`${segment(path, 3)}.gz`, isGz ? gzipSync(gz) : gz);
      writeFileSync(join(path, 'checkpoint'), checkpoint);
      writeFileSync(join(path, 'checkpoints'), history);
      writeFileSync(join(path, 'handovers'), handovers);
      const options = { key: newSigner().vkey, checkpoint: join(path, 'checkpoint') };
      for (const report of [
        await verifyTrail(path),
        await verifyTrail(path, options),
        await verifyTrail(segment(path, 1), { format: 'enforcecore-py' }),
      ]) {
        expect(report.ok).toBe(report.exitCode === 0);
        expect(report.problems.length > 0).toBe(report.exitCode !== 0);
      }
    }),
    { numRuns: isSlow ? 3_000 : 150 },
  );
});

test('a compressed bomb is read without growing', { timeout: TIMEOUT_MS }, async () => {
  const path = scratchPath();
  mkdirSync(path);
  writeFileSync(`${segment(path, 1)}.gz`, gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20)));
  const before = process.memoryUsage().rss;
  expect(await verifyTrail(path)).toMatchObject({ exitCode: 1 });
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
});

test('bytes behind a torn tail do not make it whole', async () => {
  const path = copyTrail(sample.path);
  appendFileSync(segment(path, 3), '{"a":1}');
  expect(await verifyTrail(path, { key: sample.signer.vkey })).toMatchObject({ exitCode: 3 });
});
