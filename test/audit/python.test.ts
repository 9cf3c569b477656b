import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { exportTrail, readTrail, verifyTrail } from '../../src/audit/index.ts';
import { editLines, readLinesOf, scratchPath } from './sample-trail.ts';

// Written with Python's json.dumps and hashlib after the rules of that project's auditor: numbers in
// all forms of repr, escapes, astral characters, tenant ids from 1.6 on, and unsorted keys.
const TRAILS = ['1.5', '1.6', 'unsorted'] as const;
const format = 'enforcecore-py' as const;

function copyOf(name: string): string {
  const file = scratchPath('trail.jsonl');
  writeFileSync(file, readFileSync(`test/vectors/audit-python-${name}.jsonl`));
  return file;
}

const kindsOf = ({ problems }: Awaited<ReturnType<typeof verifyTrail>>) =>
  problems.map(({ kind }) => kind);

test.each(TRAILS)('[upstream-python-trail] accepts a trail of form %s', async (name) => {
  const file = copyOf(name);
  const lines = readLinesOf(file).map((line) => JSON.parse(line));
  expect(await verifyTrail(file, { format })).toMatchObject({
    ok: true,
    level: 'chain',
    entries: 12,
    rootHash: lines[0].entry_hash,
    headHash: lines[11].entry_hash,
  });
});

test('accepts its audit directory, a compressed file and an empty file', async () => {
  const directory = scratchPath();
  mkdirSync(directory);
  expect(kindsOf(await verifyTrail(directory, { format }))).toEqual(['no_segments']);
  const text = readFileSync('test/vectors/audit-python-1.6.jsonl');
  writeFileSync(join(directory, 'trail.jsonl'), text);
  expect(await verifyTrail(directory, { format })).toMatchObject({ ok: true, entries: 12 });
  writeFileSync(join(directory, 'trail.jsonl.gz'), gzipSync(text));
  expect(await verifyTrail(join(directory, 'trail.jsonl.gz'), { format })).toMatchObject({
    ok: true,
    entries: 12,
  });
  writeFileSync(join(directory, 'trail.jsonl'), '');
  expect(await verifyTrail(directory, { format })).toMatchObject({
    ok: true,
    entries: 0,
    rootHash: null,
  });
});

test.each([
  ['a changed value', (line: string) => line.replace('"allowed"', '"blocked"'), 'hash_mismatch'],
  [
    '0.0 for 0',
    (line: string) => line.replace('"output_redactions":0', '"output_redactions":0.0'),
    'hash_mismatch',
  ],
  [
    'a removed null',
    (line: string) => line.replace('"violation_type":null', '"violation_typo":null'),
    'hash_mismatch',
  ],
  ['an added member', (line: string) => line.replace('{', '{"added":1,'), 'unknown_field'],
  [
    'a member given twice',
    (line: string) => line.replace('{', '{"decision":"allowed",'),
    'malformed_line',
  ],
  ['an array', () => '[1]', 'malformed_line'],
  ['a number', () => '42', 'malformed_line'],
  [
    'a nested value',
    (line: string) => line.replace('"output_redactions":0', '"output_redactions":{}'),
    'malformed_line',
  ],
  ['no JSON', () => '{"a":', 'malformed_line'],
  ['an empty line', () => '', 'blank_line'],
  ['a very long line', () => 'x'.repeat(70_000), 'line_too_long'],
])('finds %s', async (_, edit, kind) => {
  const file = copyOf('1.6');
  editLines(file, (lines) => lines.with(4, edit(lines[4] as string)));
  expect(kindsOf(await verifyTrail(file, { format }))).toContain(kind);
});

test('finds deleted, repeated and torn lines', async () => {
  const file = copyOf('1.6');
  editLines(file, (lines) => lines.toSpliced(3, 1));
  expect(kindsOf(await verifyTrail(file, { format }))).toEqual(['chain_broken']);
  editLines(file, (lines) => [...lines, lines[2] as string]);
  expect(kindsOf(await verifyTrail(file, { format }))).toContain('duplicate_entry_id');
  const torn = copyOf('1.6');
  writeFileSync(torn, readFileSync(torn).subarray(0, -10));
  expect(await verifyTrail(torn, { format })).toMatchObject({ exitCode: 3 });
  writeFileSync(torn, Buffer.from([0xff, 0x0a]));
  expect(kindsOf(await verifyTrail(torn, { format }))).toEqual(['invalid_utf8']);
});

test('every flipped bit is found', async () => {
  const file = copyOf('1.5');
  const bytes = readFileSync(file);
  for (let at = 0; at < bytes.length; at += 17) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] as number) ^ 1;
    writeFileSync(file, flipped);
    expect((await verifyTrail(file, { format })).ok, `byte ${at}`).toBe(false);
  }
});

test('cannot be verified with a key, and reaches no higher level', async () => {
  const file = copyOf('1.6');
  const key = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
  expect(await verifyTrail(file, { format, key })).toMatchObject({ exitCode: 2 });
  expect(await verifyTrail(file, { format, require: 'signed' })).toMatchObject({ exitCode: 3 });
  expect(await verifyTrail(scratchPath(), { format })).toMatchObject({ exitCode: 2 });
});

test('is read and exported in order', async () => {
  const file = copyOf('1.6');
  const tools: string[] = [];
  for await (const entry of readTrail(file, { format, fromSeq: 10 })) tools.push(entry.tool_name);
  expect(tools).toEqual(['search_w\u00e9b', 'search_w\u00e9b']);
  const seqs: number[] = [];
  for await (const entry of exportTrail(file, { format, fromSeq: 10 })) {
    expect(entry).toMatchObject({
      type: 'enforcecore_py',
      entry: { tool_name: 'search_w\u00e9b' },
    });
    seqs.push(entry.seq);
  }
  expect(seqs).toEqual([10, 11]);
});
