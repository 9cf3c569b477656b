import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { proveConsistency, proveEntry } from '../../src/audit/index.ts';
import { editLines, scratchPath } from './sample-trail.ts';
import { copyTrail, makeSampleTrail, type SampleTrail, segment } from './tampering.ts';

const MODULES = '/usr/share/gocode';
const hasGo =
  existsSync(join(MODULES, 'src/golang.org/x/mod/sumdb/tlog')) &&
  spawnSync('go', ['version']).status === 0;
const { ENFORCECORE_TEST_REQUIRE: required = '' } = process.env;
const isRequired = required.split(',').includes('go');

test.runIf(isRequired)('Go and golang-golang-x-mod-dev are installed', () =>
  expect(hasGo).toBe(true),
);

describe.skipIf(!hasGo)('golang.org/x/mod/sumdb', () => {
  const program = scratchPath('verify');
  let sample: SampleTrail;

  beforeAll(async () => {
    const env = {
      ...process.env,
      GO111MODULE: 'off',
      GOPATH: MODULES,
      GOCACHE: join(dirname(program), 'cache'),
    };
    execFileSync('go', ['build', '-o', program, 'test/audit/go/verify.go'], { env });
    sample = await makeSampleTrail();
  }, 120_000);

  const run = (...args: string[]) => {
    const { stdout, status } = spawnSync(program, args, { encoding: 'utf8' });
    return { status, stdout: stdout.trim() };
  };
  const verify = (path: string) =>
    run(sample.signer.vkey, join(path, 'checkpoint'), ...[1, 2, 3].map((n) => segment(path, n)));

  test('accepts our trail and checkpoint', () => {
    expect(verify(sample.path)).toEqual({ status: 0, stdout: 'OK' });
  });

  test('rejects an edited trail and says where', () => {
    const path = copyTrail(sample.path);
    const text = readFileSync(segment(path, 2), 'utf8');
    writeFileSync(segment(path, 2), text.replace('fetch_page', 'fetch_pagf'));
    const result = verify(path);
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/^hash mismatch at entry 3\d$/);
  });

  test('rejects an edited checkpoint', () => {
    const path = copyTrail(sample.path);
    writeFileSync(join(path, 'checkpoint'), sample.newest.replace('\n84\n', '\n83\n'));
    expect(verify(path).status).toBe(1);
  });

  test('rejects a trail that was cut below its checkpoint', () => {
    const path = copyTrail(sample.path);
    editLines(segment(path, 3), (lines) => lines.slice(0, 10));
    expect(verify(path)).toMatchObject({ status: 1, stdout: expect.stringMatching(/^truncated/) });
  });

  test('accepts an inclusion proof of every entry, and rejects it for another', async () => {
    const lineFile = scratchPath('line');
    const proofFile = scratchPath('proof');
    for (const seq of [0, 1, 29, 30, 63, 64, 83]) {
      const { line, proof } = await proveEntry(sample.path, seq);
      writeFileSync(lineFile, line);
      writeFileSync(proofFile, proof);
      expect(run('-inclusion', sample.signer.vkey, proofFile, lineFile)).toEqual({
        status: 0,
        stdout: 'OK',
      });
      writeFileSync(proofFile, (await proveEntry(sample.path, (seq + 1) % 84)).proof);
      expect(run('-inclusion', sample.signer.vkey, proofFile, lineFile).status).toBe(1);
    }
  });

  test('accepts a consistency proof from every kept checkpoint, and rejects an edited one', async () => {
    const olderFile = scratchPath('older');
    const proofFile = scratchPath('proof');
    for (const [size, older] of [
      [60, sample.middle],
      [81, sample.older],
      [84, sample.newest],
    ] as const) {
      const proof = await proveConsistency(sample.path, size);
      writeFileSync(olderFile, older);
      writeFileSync(proofFile, proof);
      expect(run('-consistency', sample.signer.vkey, olderFile, proofFile)).toEqual({
        status: 0,
        stdout: 'OK',
      });
    }
    writeFileSync(olderFile, sample.middle);
    expect(run('-consistency', sample.signer.vkey, olderFile, proofFile).status).toBe(1);
  });
});
