import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { verifyTrail } from '../../src/audit/index.ts';
import { editLines, firstSegment, readLinesOf, scratchPath, writeTrail } from './sample-trail.ts';

async function sample(): Promise<string> {
  const path = scratchPath();
  await writeTrail({ path }, 5);
  return path;
}

const kindsOf = (report: Awaited<ReturnType<typeof verifyTrail>>) =>
  [...new Set(report.problems.map(({ kind }) => kind))].sort();

test('accepts a trail as it was written', async () => {
  const report = await verifyTrail(await sample());
  expect(report).toMatchObject({
    ok: true,
    exitCode: 0,
    level: 'chain',
    entries: 11,
    problems: [],
  });
  expect(report.rootHash).toMatch(/^[0-9a-f]{64}$/);
  expect(report.headHash).toMatch(/^[0-9a-f]{64}$/);
});

test('accepts one segment file by itself', async () => {
  const path = await sample();
  expect(await verifyTrail(firstSegment(path))).toMatchObject({ ok: true, entries: 11 });
});

test('finds a modified line and says where it is', async () => {
  const path = await sample();
  editLines(firstSegment(path), (lines) =>
    lines.map((line, index) => (index === 3 ? line.replace('fetch_page', 'fetch_pagf') : line)),
  );
  const report = await verifyTrail(path);
  expect(report.exitCode).toBe(1);
  expect(report.problems[0]).toMatchObject({
    kind: 'hash_mismatch',
    segment: 'audit-000001.jsonl',
    line: 4,
  });
});

test('finds a deleted line', async () => {
  const path = await sample();
  editLines(firstSegment(path), (lines) => lines.filter((_, index) => index !== 4));
  expect(kindsOf(await verifyTrail(path))).toEqual(['chain_broken', 'seq_mismatch']);
});

test('finds an inserted line', async () => {
  const path = await sample();
  editLines(firstSegment(path), (lines) => lines.toSpliced(4, 0, lines[2] as string));
  expect(kindsOf(await verifyTrail(path))).toEqual([
    'chain_broken',
    'duplicate_entry_id',
    'seq_mismatch',
  ]);
});

test('finds lines that changed places', async () => {
  const path = await sample();
  editLines(firstSegment(path), (lines) => {
    const [a, b] = [lines[4] as string, lines[5] as string];
    return lines.with(4, b).with(5, a);
  });
  expect(kindsOf(await verifyTrail(path))).toEqual(['chain_broken', 'seq_mismatch']);
});

test('says that a torn last line makes the trail incomplete, not tampered with', async () => {
  const path = await sample();
  const file = firstSegment(path);
  truncateSync(file, readFileSync(file).length - 40);
  const report = await verifyTrail(path);
  expect(report).toMatchObject({ ok: false, exitCode: 3, entries: 10 });
  expect(kindsOf(report)).toEqual(['torn_tail']);
});

test('finds an edit that also adjusts its own hash', async () => {
  const path = await sample();
  const other = await sample();
  editLines(firstSegment(path), (lines) =>
    lines.with(4, readLinesOf(firstSegment(other))[4] as string),
  );
  expect(kindsOf(await verifyTrail(path))).toEqual(['chain_broken']);
});

test('reports what is no trail without throwing', async () => {
  const missing = await verifyTrail(scratchPath());
  expect(missing).toMatchObject({ exitCode: 2, rootHash: null });
  const path = await sample();
  writeFileSync(firstSegment(path), Buffer.from([0xff, 0xfe, 0x0a, 0x00, 0x7b]));
  expect(await verifyTrail(path)).toMatchObject({ exitCode: 1 });
});

test('counts bytes for a progress display', async () => {
  const path = await sample();
  const seen: number[] = [];
  await verifyTrail(path, {
    onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes),
  });
  expect(seen.at(-1)).toBe(1);
});

test('lists at most a thousand problems', async () => {
  const path = await sample();
  appendFileSync(firstSegment(path), '\n'.repeat(5_000));
  const report = await verifyTrail(path);
  expect(report.problems).toHaveLength(1_001);
  expect(report.problems.at(-1)?.kind).toBe('too_many_problems');
});

test.each([1, 4, 100_000])('finds %i zero bytes behind a gzip stream', async (length) => {
  const path = await sample();
  const bytes = gzipSync(readFileSync(firstSegment(path)));
  writeFileSync(`${firstSegment(path)}.gz`, Buffer.concat([bytes, Buffer.alloc(length)]));
  rmSync(firstSegment(path));
  expect(kindsOf(await verifyTrail(path))).toEqual(['gz_corrupt']);
});
