import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  checkConsistencyProof,
  checkEntryProof,
  proveConsistency,
  proveEntry,
} from '../../src/audit/index.ts';
import { parseTlogProof } from '../../src/audit/tlog-proof.ts';
import { parseConsistencyProof } from '../../src/audit/witness-request.ts';
import { readLinesOf } from './sample-trail.ts';
import { copyTrail, makeSampleTrail, newSigner, type SampleTrail, segment } from './tampering.ts';

let sample: SampleTrail;
beforeAll(async () => {
  sample = await makeSampleTrail();
});

const notProven = expect.objectContaining({ code: 'ENF_AUDIT_PROOF' });

test('[inclusion-proof-one-entry] line, proof and key prove every entry', async () => {
  for (let seq = 0; seq < 84; seq += 1) {
    const { line, proof } = await proveEntry(sample.path, seq);
    const proven = checkEntryProof({ line, proof, key: sample.signer.vkey });
    expect(proven).toMatchObject({ seq, size: 84, origin: 'example.com/sample' });
    expect(line).toContain(proven.entryHash);
  }
});

test('no bit of line, index, path or root can be changed', async () => {
  const { line, proof } = await proveEntry(sample.path, 40);
  const key = sample.signer.vkey;
  const flips = (text: string) =>
    Array.from(
      { length: text.length },
      (_, at) =>
        `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ 1)}${text.slice(at + 1)}`,
    );
  for (const changed of flips(line))
    expect(() => checkEntryProof({ line: changed, proof, key })).toThrow(notProven);
  for (const changed of flips(proof))
    expect(() => checkEntryProof({ line, proof: changed, key })).toThrow(notProven);
});

test('[inclusion-proof-privacy] a proof holds nothing of the other entries', async () => {
  const { proof } = await proveEntry(sample.path, 40);
  const others = [1, 2, 3].flatMap((number) => readLinesOf(segment(sample.path, number)));
  const ids = others.map((line) => JSON.parse(line).entry_id as string);
  expect(ids.filter((id) => proof.includes(id))).toEqual([]);
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/.test(id))).toBe(true);
  expect(proof).not.toMatch(/fetch_page|call-/);
});

test('an entry behind the checkpoint cannot be proven', async () => {
  for (const seq of [84, 86, -1, 0.5, Number.NaN]) {
    await expect(proveEntry(sample.path, seq)).rejects.toMatchObject({ code: 'ENF_AUDIT_PROOF' });
  }
});

test('proofs of an edited trail are refused where they are made', async () => {
  const path = copyTrail(sample.path);
  const text = readFileSync(segment(path, 2), 'utf8');
  writeFileSync(segment(path, 2), text.replace('fetch_page', 'fetch_pagf'));
  await expect(proveEntry(path, 3)).rejects.toMatchObject({ code: 'ENF_AUDIT_PROOF' });
  await expect(proveConsistency(path, 60)).rejects.toMatchObject({ code: 'ENF_AUDIT_PROOF' });
});

test('an entry of a later segment is proven when the first ones were removed', async () => {
  const path = copyTrail(sample.path);
  rmSync(segment(path, 1));
  const { line, proof } = await proveEntry(path, 70);
  expect(checkEntryProof({ line, proof, key: sample.signer.vkey }).seq).toBe(70);
  await expect(proveEntry(path, 5)).rejects.toMatchObject({ code: 'ENF_AUDIT_PROOF' });
  await expect(proveConsistency(path, 5)).rejects.toThrow(/removed/);
  expect(await proveConsistency(path, 60)).toMatch(/^old 60\n/);
});

test('older checkpoints are proven to be the beginning of the newest', async () => {
  const key = sample.signer.vkey;
  for (const [size, older] of [
    [60, sample.middle],
    [81, sample.older],
    [84, sample.newest],
  ] as const) {
    const proof = await proveConsistency(sample.path, size);
    expect(checkConsistencyProof({ older, proof, key })).toMatchObject({ size: 84 });
  }
  const proof = await proveConsistency(sample.path, 60);
  for (const claim of [
    { older: sample.older, proof, key },
    { older: sample.middle, proof, key: newSigner().vkey },
    { older: sample.middle, proof: proof.replace('old 60', 'old 59'), key },
    { older: 'garbage', proof, key },
    { older: sample.middle, proof: 'garbage', key },
  ]) {
    expect(() => checkConsistencyProof(claim)).toThrow(notProven);
  }
});

test.each([0, -1, 85, 1.5, Number.NaN])('no consistency proof from size %s', async (size) => {
  await expect(proveConsistency(sample.path, size)).rejects.toMatchObject({
    code: 'ENF_AUDIT_PROOF',
  });
});

test('there is no proof without a checkpoint', async () => {
  const path = copyTrail(sample.path);
  writeFileSync(join(path, 'checkpoint'), 'garbage');
  await expect(proveEntry(path, 1)).rejects.toThrow(/malformed/);
  rmSync(join(path, 'checkpoint'));
  await expect(proveEntry(path, 1)).rejects.toThrow(/no checkpoint/);
});

const HASH = Buffer.alloc(32).toString('base64');

test.each([
  '',
  'c2sp.org/tlog-proof@v1\nindex 1\n',
  'c2sp.org/tlog-proof@v2\nindex 1\n\nx',
  'c2sp.org/tlog-proof@v1\nindex 01\n\nx',
  'c2sp.org/tlog-proof@v1\nindex -1\n\nx',
  'c2sp.org/tlog-proof@v1\nindex 9007199254740993\n\nx',
  'c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx',
  `c2sp.org/tlog-proof@v1\nindex 1\n${`${HASH}\n`.repeat(65)}\nx`,
  'c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\nx',
])('%j is no tlog-proof', (text) => {
  expect(parseTlogProof(text)).toBeNull();
});

test('an extra line of a tlog-proof is ignored', () => {
  const text = `c2sp.org/tlog-proof@v1\nextra AAAA\nindex 1\n${HASH}\n\nnote`;
  expect(parseTlogProof(text)).toEqual({ index: 1, path: [Buffer.alloc(32)], checkpoint: 'note' });
});

test.each([
  '',
  'old 1\n',
  'old x\n\nn',
  `old 1\n${HASH.slice(1)}\n\nn`,
  `old 1\n${`${HASH}\n`.repeat(64)}\nn`,
])('%j is no consistency proof', (text) => {
  expect(parseConsistencyProof(text)).toBeNull();
});
