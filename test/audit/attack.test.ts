import {
  appendFileSync,
  createWriteStream,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { browseTrail, openTrail, type VerifyOptions, verifyTrail } from '../../src/audit/index.ts';
import { decision, firstSegment, scratchPath, writeTrail } from './sample-trail.ts';
import { copyTrail, makeSampleTrail, newSigner, type SampleTrail, segment } from './tampering.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const isSlow = ENFORCECORE_TEST_SLOW === '1';
const LEVELS = ['chain', 'signed', 'anchored'] as const;
type Level = (typeof LEVELS)[number];
const MB = 1024 * 1024;

const signer = newSigner();
let sample: SampleTrail;
/** A second trail with the same key and the same name. */
let twin: SampleTrail;
beforeAll(async () => {
  sample = await makeSampleTrail(signer);
  twin = await makeSampleTrail(signer, Date.UTC(2026, 5, 1));
});

/** What a verifier holds at a level; the anchor is of the sample. */
function knowing(level: Level, anchor: string = sample.newest): VerifyOptions {
  if (level === 'chain') return {};
  if (level === 'signed') return { key: signer.vkey };
  const checkpoint = scratchPath('anchor');
  writeFileSync(checkpoint, anchor);
  return { key: signer.vkey, checkpoint };
}

const kindsOf = async (path: string, level: Level) => {
  const { exitCode, problems } = await verifyTrail(path, knowing(level));
  return { exitCode, kinds: problems.map(({ kind }) => kind) };
};

describe.each(LEVELS)('at level %s', (level) => {
  test('finds two segments that changed places', async () => {
    const path = copyTrail(sample.path);
    renameSync(segment(path, 1), join(path, 'aside'));
    renameSync(segment(path, 2), segment(path, 1));
    renameSync(join(path, 'aside'), segment(path, 2));
    const { exitCode, kinds } = await kindsOf(path, level);
    expect(exitCode).toBe(1);
    expect(kinds).toContain('segment_number_mismatch');
  });

  test.each([1, 2, 3])('finds segment %i of a twin with the same key and name', async (number) => {
    const path = copyTrail(sample.path);
    writeFileSync(segment(path, number), readFileSync(segment(twin.path, number)));
    const { exitCode, kinds } = await kindsOf(path, level);
    expect(exitCode).toBe(1);
    expect(kinds.length).toBeGreaterThan(0);
  });

  test('finds a segment that is there twice under two numbers', async () => {
    const path = copyTrail(sample.path);
    writeFileSync(segment(path, 4), readFileSync(segment(path, 3)));
    expect((await kindsOf(path, level)).exitCode).toBe(1);
  });

  test('finds a segment that is a link to its own content', async () => {
    const path = copyTrail(sample.path);
    renameSync(segment(path, 2), join(path, 'elsewhere'));
    symlinkSync('elsewhere', segment(path, 2));
    const { exitCode, kinds } = await kindsOf(path, level);
    expect(exitCode).toBe(1);
    expect(kinds).toContain('not_regular_file');
  });

  test('finds zeros inside a line, in the place of a line, and between lines', async () => {
    const text = readFileSync(segment(sample.path, 2), 'latin1');
    const lines = text.split('\n');
    const zeroed = [
      lines.with(3, (lines[3] as string).replace('"seq"', '\0\0\0\0\0')),
      lines.with(3, '\0'.repeat((lines[3] as string).length)),
      lines.toSpliced(4, 0, '\0'),
    ];
    for (const each of zeroed) {
      const path = copyTrail(sample.path);
      writeFileSync(segment(path, 2), each.join('\n'), 'latin1');
      expect((await kindsOf(path, level)).exitCode).toBe(1);
    }
  });
});

/** Puts an old state of the whole trail in its place, as somebody with a backup can. */
function rolledBack(checkpoint: string, size: number): string {
  const path = copyTrail(sample.path);
  const file = segment(path, 3);
  const lines = readFileSync(file, 'utf8').split('\n');
  writeFileSync(file, `${lines.slice(0, size - 60).join('\n')}\n`);
  writeFileSync(join(path, 'checkpoint'), checkpoint);
  const history = readFileSync(join(path, 'checkpoints'), 'utf8');
  const newer = history.indexOf(sample.newest);
  truncateSync(
    join(path, 'checkpoints'),
    Buffer.byteLength(history.slice(0, newer === -1 ? history.length : newer)),
  );
  return path;
}

describe('a rollback of segments and checkpoints', () => {
  test('is not known to a chain, nor to a key alone, and they say what they reached', async () => {
    const path = rolledBack(sample.older, 81);
    expect(await verifyTrail(path)).toMatchObject({ exitCode: 0, level: 'chain', entries: 81 });
    expect(await verifyTrail(path, { key: signer.vkey })).toMatchObject({
      exitCode: 0,
      level: 'signed',
      unsigned: 0,
    });
    const demanding = { key: signer.vkey, require: 'anchored' } as const;
    expect(await verifyTrail(path, demanding)).toMatchObject({ exitCode: 3 });
  });

  test('is found by a newer checkpoint that was kept outside', async () => {
    const path = rolledBack(sample.older, 81);
    const report = await verifyTrail(path, knowing('anchored'));
    expect(report).toMatchObject({ exitCode: 1 });
    expect(report.problems.map(({ kind }) => kind)).toContain('truncated');
  });

  test('to before an anchor that is older still is not known even so', async () => {
    const path = rolledBack(sample.older, 81);
    const report = await verifyTrail(path, knowing('anchored', sample.middle));
    expect(report).toMatchObject({ exitCode: 0, level: 'anchored' });
  });
});

test('a whole twin in the place of a trail is known by an anchor only', async () => {
  const path = copyTrail(twin.path);
  expect(await verifyTrail(path, knowing('signed'))).toMatchObject({ exitCode: 0 });
  const report = await verifyTrail(path, knowing('anchored'));
  expect(report).toMatchObject({ exitCode: 1 });
  expect(report.problems.map(({ kind }) => kind)).toContain('root_mismatch');
});

test('checkpoints of a twin beside a trail are found', async () => {
  const path = copyTrail(sample.path);
  writeFileSync(join(path, 'checkpoint'), twin.newest);
  expect((await verifyTrail(path, knowing('signed'))).exitCode).toBe(1);
});

/** Bytes of a compressed segment that inflates to many times its size. */
async function bombOf(chunk: Buffer, bytes: number): Promise<string> {
  const path = scratchPath();
  mkdirSync(path);
  function* chunks() {
    for (let left = bytes; left > 0; left -= chunk.length) yield chunk;
  }
  const file = createWriteStream(`${firstSegment(path)}.gz`);
  await pipeline(Readable.from(chunks()), createGzip({ level: 1 }), file);
  return path;
}

const BOMBS = [
  ['zeros without a line', Buffer.alloc(MB)],
  ['empty lines', Buffer.alloc(MB, '\n')],
  ['long lines', Buffer.alloc(MB, `${'a'.repeat(60_000)}\n`)],
  ['lines longer than a line', Buffer.alloc(MB, `${'a'.repeat(200_000)}\n`)],
] as const;

describe.each(BOMBS)('a compressed segment of %s', (_, chunk) => {
  const bytes = (isSlow ? 10_240 : 256) * MB;

  test('costs a verifier and a reader little time and memory', { timeout: 300_000 }, async () => {
    const path = await bombOf(chunk, bytes);
    const before = process.memoryUsage().rss;
    const began = process.cpuUsage();
    const report = await verifyTrail(path);
    expect(report.exitCode).toBe(1);
    const { user, system } = process.cpuUsage(began);
    // Of 10 GB, which take over half a minute to inflate.
    if (isSlow) expect((user + system) / 1e6).toBeLessThan(10);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MB);
    const read = async () => {
      for await (const entry of browseTrail(path, { tail: 5 })) expect(entry).toBeUndefined();
    };
    await expect(read()).rejects.toMatchObject({ code: 'ENF_AUDIT_READ' });
    rmSync(path, { recursive: true });
  });
});

test('stops reading a trail of the Python EnforceCore after a thousand problems', async () => {
  const path = scratchPath('trail.jsonl');
  writeFileSync(path, '\n'.repeat(50_000));
  const report = await verifyTrail(path, { format: 'enforcecore-py' });
  expect(report).toMatchObject({ exitCode: 1, entries: 0 });
  expect(report.problems).toHaveLength(1_001);
});

test('names the line at which a plain segment becomes endless, and reads no further', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  appendFileSync(firstSegment(path), Buffer.alloc(20 * MB, 'x'));
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ exitCode: 1, entries: 5 });
  expect(report.problems.map(({ kind }) => kind)).toEqual(['line_too_long']);
});

test('a supervisor does not read endless bytes behind the last line into memory', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  truncateSync(firstSegment(path), 4 * 1024 * MB);
  await expect(openTrail({ path })).rejects.toMatchObject({ code: 'ENF_AUDIT_OPEN' });
});

test('zeros that a crashed file system left behind the last line are cut and recorded', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  appendFileSync(firstSegment(path), Buffer.alloc(4_096));
  expect(await verifyTrail(path)).toMatchObject({ exitCode: 3 });
  await writeTrail({ path }, 1);
  expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 8 });
});

test('entries and checkpoints of a trail that grows meanwhile agree at every look', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path, key: signer, rotateBytes: 20_000 });
  let isDone = false;
  const writing = (async () => {
    for (let call = 0; call < 600; call += 1) await trail.append(decision(`c-${call}`));
    await trail.close();
    isDone = true;
  })();
  let looks = 0;
  while (!isDone) {
    const report = await verifyTrail(path, { key: signer.vkey });
    expect(report.problems.filter(({ kind }) => kind !== 'torn_tail')).toEqual([]);
    looks += 1;
  }
  await writing;
  expect(looks).toBeGreaterThan(0);
  expect(await verifyTrail(path, { key: signer.vkey })).toMatchObject({ ok: true, unsigned: 0 });
});

test('a small gzip file with a long tail of empty members ends', async () => {
  const path = scratchPath();
  mkdirSync(path);
  const empty = gzipSync('');
  writeFileSync(`${firstSegment(path)}.gz`, Buffer.concat(Array(50_000).fill(empty)));
  expect((await verifyTrail(path)).exitCode).toBe(1);
});
