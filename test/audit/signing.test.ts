import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import {
  callbackWitness,
  type FileLayer,
  fileWitness,
  generateKey,
  nodeFileLayer,
  openTrail,
  recoverTrail,
  type Signer,
  verifyTrail,
} from '../../src/audit/index.ts';
import { splitNotes } from '../../src/audit/signed-note.ts';
import { parsePrivateKey } from '../../src/audit/signing-key.ts';
import {
  decision,
  editLines,
  firstSegment,
  outcome,
  readLinesOf,
  scratchPath,
  writeTrail,
} from './sample-trail.ts';
import { newSigner, segment, signCheckpoint } from './tampering.ts';

async function newKey(origin = 'example.com/sample') {
  const key = scratchPath('audit.key');
  const { vkey } = await generateKey({ out: key, origin });
  return { key, vkey, path: scratchPath() };
}

const sizeOf = (path: string) => parseCheckpoint(readFileSync(join(path, 'checkpoint')))?.size;
const kindsOf = (report: Awaited<ReturnType<typeof verifyTrail>>) =>
  report.problems.map(({ kind }) => kind);
const openError = (code: string) => expect.objectContaining({ code });

test('a trail with a key is signed to its end when it is closed', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key }, 5);
  expect(await verifyTrail(path, { key: vkey, require: 'signed', maxUnsigned: 0 })).toMatchObject({
    ok: true,
    level: 'signed',
    entries: 11,
  });
});

test('the verifier key may come from a file', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key }, 1);
  const file = scratchPath('vkey');
  writeFileSync(file, `${vkey}\n`);
  expect(await verifyTrail(path, { key: file })).toMatchObject({ ok: true, level: 'signed' });
  expect(await verifyTrail(path, { key: scratchPath() })).toMatchObject({ exitCode: 2 });
  writeFileSync(file, 'no key');
  expect(await verifyTrail(path, { key: file })).toMatchObject({ exitCode: 2 });
  expect(await verifyTrail(path, { checkpoint: file })).toMatchObject({ exitCode: 2 });
});

test('a new trail is signed before its first entry', async () => {
  const { key, path } = await newKey();
  const trail = await openTrail({ path, key });
  expect(trail).toMatchObject({ signed: true, origin: 'example.com/sample', path });
  expect(sizeOf(path)).toBe(1);
  await trail.close();
});

test('a thousand entries are signed without waiting for the timer', async () => {
  const { key, path } = await newKey();
  const trail = await openTrail({ path, key });
  await Promise.all(Array.from({ length: 1_001 }, (_, i) => trail.append(decision(`c${i}`))));
  await vi.waitFor(() => expect(sizeOf(path)).toBeGreaterThan(1_000), 5_000);
  await trail.close();
});

test('entries are signed within about a second', async () => {
  const { key, path } = await newKey();
  const trail = await openTrail({ path, key });
  await trail.append(decision());
  await vi.waitFor(() => expect(sizeOf(path)).toBe(2), 5_000);
  await trail.close();
});

test('refuses a key that others may read', async () => {
  const { key, path } = await newKey();
  nodeFileLayer.chmodSync(key, 0o640);
  await expect(openTrail({ path, key })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
});

test.each([
  ['missing', (key: string) => rmSync(key)],
  ['empty', (key: string) => writeFileSync(key, '')],
  ['no key', (key: string) => writeFileSync(key, 'PRIVATE+KEY+x')],
])('refuses a key file that is %s', async (_, spoil) => {
  const { key, path } = await newKey();
  spoil(key);
  await expect(openTrail({ path, key })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
});

test('refuses to continue a signed trail without its key, or with another', async () => {
  const { key, path } = await newKey();
  await writeTrail({ path, key }, 1);
  await expect(openTrail({ path })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
  await expect(openTrail({ path, key: newSigner() })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
  const other = newSigner('example.com/other');
  await expect(openTrail({ path, key: other })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
});

test('refuses an origin that is not that of the trail', async () => {
  const { key, path } = await newKey();
  await expect(openTrail({ path, key, origin: 'example.com/x' })).rejects.toThrow(
    openError('ENF_AUDIT_OPEN'),
  );
  await expect(openTrail({ path, origin: 'a b' })).rejects.toThrow(openError('ENF_AUDIT_OPEN'));
  await expect(openTrail({ path, witness: fileWitness('/x') })).rejects.toThrow(
    openError('ENF_AUDIT_OPEN'),
  );
});

test('a keyless trail can be signed from some entry on', async () => {
  const path = scratchPath();
  await writeTrail({ path, origin: 'example.com/sample' }, 2);
  const signer = newSigner();
  await writeTrail({ path, key: signer }, 2);
  expect(await verifyTrail(path, { key: signer.vkey })).toMatchObject({
    ok: true,
    level: 'signed',
    entries: 10,
  });
});

test('[epoch-key-handover] each segment has its own key and the old one is erased', async () => {
  const { key, vkey, path } = await newKey();
  const first = readFileSync(key, 'utf8');
  await writeTrail({ path, key, rotateBytes: 4_096, compress: false }, 20);
  expect(readFileSync(key, 'utf8')).not.toBe(first);
  expect(existsSync(`${key}.next`)).toBe(false);
  const headers = [1, 2, 3].map((n) => JSON.parse(readLinesOf(segment(path, n))[0] as string));
  expect(headers[0].vkey).toBe(vkey);
  expect(new Set(headers.map((header) => header.vkey)).size).toBe(3);
  expect(await verifyTrail(path, { key: vkey, maxUnsigned: 0 })).toMatchObject({
    ok: true,
    level: 'signed',
  });
});

test('a later key can be pinned as well', async () => {
  const { key, path } = await newKey();
  await writeTrail({ path, key, rotateBytes: 4_096, compress: false }, 20);
  const later = JSON.parse(readLinesOf(segment(path, 3))[0] as string).vkey as string;
  expect(await verifyTrail(path, { key: later })).toMatchObject({ ok: true, level: 'signed' });
});

test('[epoch-old-segment-resigned-with-new-key] the key of now cannot sign what was before it', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key, rotateBytes: 4_096, compress: false }, 20);
  const stolen = parsePrivateKey(readFileSync(key, 'utf8').trim());
  const notes = splitNotes(readFileSync(join(path, 'checkpoints'), 'utf8'));
  const { size, root } = parseCheckpoint(notes[0] as string) as { size: number; root: Buffer };
  appendFileSync(join(path, 'checkpoints'), await signCheckpoint(stolen, size, root));
  const report = await verifyTrail(path, { key: vkey });
  expect(report.exitCode).toBe(1);
  expect(kindsOf(report)).toEqual(['wrong_epoch_key']);
});

test('a rewrite signed with a stolen later key is found from the first key', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key, rotateBytes: 4_096, compress: false }, 20);
  const stolen = scratchPath('stolen.key');
  writeFileSync(stolen, readFileSync(key), { mode: 0o600 });
  rmSync(path, { recursive: true });
  await writeTrail({ path, key: stolen }, 30);
  const report = await verifyTrail(path, { key: vkey });
  expect(report).toMatchObject({ ok: false, level: 'chain' });
  expect(kindsOf(report)).toContain('checkpoint_untrusted_key');
});

test('a change of keys that was removed or edited is found', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key, rotateBytes: 4_096, compress: false }, 20);
  const file = join(path, 'handovers');
  const lines = readLinesOf(file);
  expect(lines.length).toBeGreaterThan(2);
  writeFileSync(file, `${lines.slice(1).join('\n')}\n`);
  expect(kindsOf(await verifyTrail(path, { key: vkey }))).toContain('key_handover_missing');
  writeFileSync(file, `{"header":"","checkpoint":""}\n${lines.join('\n')}\n`);
  expect(kindsOf(await verifyTrail(path, { key: vkey }))).toContain('key_handover_invalid');
  editLines(file, () =>
    lines.with(0, (lines[0] as string).replace(/\\n$/, '').replace('sample', 'sampla')),
  );
  expect((await verifyTrail(path, { key: vkey })).ok).toBe(false);
});

test('half-written checkpoint files are tolerated and repaired', async () => {
  const { key, vkey, path } = await newKey();
  const options = { path, key, rotateBytes: 2_048, compress: false };
  await writeTrail(options, 10);
  for (const name of ['handovers', 'checkpoints']) {
    const whole = readFileSync(join(path, name));
    appendFileSync(join(path, name), whole.subarray(0, 150));
  }
  const torn = await verifyTrail(path, { key: vkey });
  expect(torn).toMatchObject({ ok: true, level: 'signed' });
  expect(torn.warnings.map(({ kind }) => kind)).toEqual(['history_torn', 'history_torn']);
  await writeTrail(options, 10);
  expect(await verifyTrail(path, { key: vkey })).toMatchObject({ ok: true, warnings: [] });
});

/** Stops working at the given call of a kind, as a process does that is killed there. */
function dyingLayer(
  method: 'renameSync' | 'linkSync' | 'write' | 'fdatasync',
  dies: (call: string) => boolean,
): FileLayer {
  let isDead = false;
  const guard =
    <Args extends unknown[], Result>(name: string, run: (...args: Args) => Result) =>
    (...args: Args): Result => {
      if (name === method && dies(String(args.at(-1)))) isDead = true;
      if (isDead) throw new Error('the process is dead');
      return run(...args);
    };
  return Object.fromEntries(
    Object.entries(nodeFileLayer).map(([name, run]) => [name, guard(name, run as never)]),
  ) as unknown as FileLayer;
}

test('a hand-over that a crash interrupted at any step is completed at the next start', async () => {
  for (const method of ['renameSync', 'linkSync', 'write', 'fdatasync'] as const) {
    for (let steps = 1; steps <= 12; steps += 1) {
      const { key, vkey, path } = await newKey();
      await writeTrail({ path, key }, 4);
      let left = steps;
      let isArmed = false;
      const files = dyingLayer(method, () => {
        if (isArmed) left -= 1;
        return left === 0;
      });
      const trail = await openTrail({ path, key, files, rotateBytes: 1_024, compress: false });
      isArmed = true;
      const acknowledged = await trail.append(decision('at the crash')).catch(() => null);
      await trail.close().catch(() => {});
      for (const name of nodeFileLayer
        .readdirSync(path)
        .filter((entry) => entry.startsWith('lock'))) {
        rmSync(join(path, name));
      }
      await writeTrail({ path, key, compress: false }, 2);
      const report = await verifyTrail(path, { key: vkey, maxUnsigned: 0 });
      expect(report, `${method} ${steps}: ${JSON.stringify(report.problems)}`).toMatchObject({
        ok: true,
        level: 'signed',
      });
      if (acknowledged) expect(report.entries).toBeGreaterThan(acknowledged.seq);
    }
  }
}, 60_000);

test('a signer that fails is recorded once and does not stop the trail', async () => {
  const signer = newSigner();
  let isAway = false;
  const key: Signer = {
    vkey: signer.vkey,
    sign: (data) => {
      if (isAway) throw Object.assign(new Error('secret detail'), { code: 'ECONNREFUSED' });
      return signer.sign(data);
    },
  };
  const path = scratchPath();
  const trail = await openTrail({ path, key, rotateBytes: 4_096, compress: false });
  isAway = true;
  for (let call = 0; call < 12; call += 1) await trail.append(decision(`c${call}`));
  await trail.close();
  const lines = [1, 2].flatMap((n) => readLinesOf(segment(path, n)));
  const errors = lines
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'checkpoint_error');
  expect(errors.length).toBeGreaterThan(0);
  expect(errors[0]).toMatchObject({ stage: 'sign', message: 'ECONNREFUSED' });
  expect(JSON.stringify(errors)).not.toContain('secret');
  isAway = false;
  await writeTrail({ path, key, compress: false }, 1);
  expect(await verifyTrail(path, { key: signer.vkey, maxUnsigned: 0 })).toMatchObject({ ok: true });
});

test('a witness gets every checkpoint and anchors the trail', async () => {
  const { key, vkey, path } = await newKey();
  const kept = scratchPath('kept');
  await writeTrail({ path, key, witness: fileWitness(kept) }, 3);
  expect(
    await verifyTrail(path, { key: vkey, checkpoint: kept, require: 'anchored' }),
  ).toMatchObject({
    ok: true,
    level: 'anchored',
  });
  editLines(firstSegment(path), (lines) => lines.slice(0, 3));
  writeFileSync(join(path, 'checkpoint'), splitNotes(readFileSync(kept, 'utf8'))[0] as string);
  rmSync(join(path, 'checkpoints'));
  expect(await verifyTrail(path, { key: vkey })).toMatchObject({ ok: true });
  const report = await verifyTrail(path, { key: vkey, checkpoint: kept });
  expect(kindsOf(report)).toEqual(['truncated']);
});

test('a witness that throws or hangs is recorded', async () => {
  for (const publish of [
    () => Promise.reject(new TypeError('x')),
    () => new Promise<void>(() => {}),
  ]) {
    const { key, path } = await newKey();
    await writeTrail({ path, key, witness: callbackWitness(publish, { timeoutMs: 50 }) }, 1);
    const entries = readLinesOf(firstSegment(path)).map((line) => JSON.parse(line));
    expect(entries.filter(({ type }) => type === 'checkpoint_error')).toMatchObject([
      { stage: 'witness' },
    ]);
  }
});

test('a trail that is shorter than its checkpoint refuses entries until the loss is accepted', async () => {
  const { key, vkey, path } = await newKey();
  await writeTrail({ path, key }, 5);
  const lost = readFileSync(join(path, 'checkpoint'), 'utf8');
  editLines(firstSegment(path), (lines) => lines.slice(0, 6));
  await expect(openTrail({ path, key })).rejects.toThrow(/has 6 entries, its checkpoint covers 11/);
  const report = await recoverTrail({ path, key, acceptLoss: true });
  expect(report).toEqual({ brokenLock: null, lostCheckpoint: lost, entries: 7 });
  const recovery = JSON.parse(readLinesOf(firstSegment(path))[6] as string);
  expect(recovery).toMatchObject({ type: 'recovery', lost_checkpoint: lost });
  expect(await verifyTrail(path, { key: vkey })).toMatchObject({ ok: true, level: 'signed' });
  const anchor = scratchPath('anchor');
  writeFileSync(anchor, lost);
  expect((await verifyTrail(path, { key: vkey, checkpoint: anchor })).ok).toBe(false);
});

test('a trail whose entries are not those of its checkpoint refuses entries', async () => {
  const { key, path } = await newKey();
  const other = await newKey();
  await writeTrail({ path, key }, 5);
  await writeTrail({ path: other.path, key: other.key }, 5);
  writeFileSync(firstSegment(path), readFileSync(firstSegment(other.path)));
  await expect(openTrail({ path, key })).rejects.toMatchObject({
    code: expect.stringMatching(/^ENF_AUDIT_(OPEN|KEY)$/),
  });
  writeFileSync(join(path, 'checkpoint'), 'garbage');
  await expect(openTrail({ path, key })).rejects.toThrow(openError('ENF_AUDIT_OPEN'));
});

test('recovering a damaged trail is refused, and a sound one is left alone', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 3);
  expect(await recoverTrail({ path, acceptLoss: true, breakLock: true })).toEqual({
    brokenLock: null,
    lostCheckpoint: null,
    entries: 7,
  });
  editLines(firstSegment(path), (lines) => lines.toSpliced(3, 1));
  await expect(recoverTrail({ path, acceptLoss: true })).rejects.toThrow(
    openError('ENF_AUDIT_OPEN'),
  );
});

test('a key file is created once and never replaced', async () => {
  const { key } = await newKey();
  const text = readFileSync(key, 'utf8');
  await expect(generateKey({ out: key })).rejects.toThrow(openError('ENF_AUDIT_KEY'));
  await expect(generateKey({ out: join(key, 'below') })).rejects.toThrow(
    openError('ENF_AUDIT_KEY'),
  );
  expect(readFileSync(key, 'utf8')).toBe(text);
  expect(nodeFileLayer.statSync(key)?.mode).toBe(0o100600);
});

test('the key stays where its directory cannot be written', async () => {
  const { key, vkey, path } = await newKey();
  const files: FileLayer = {
    ...nodeFileLayer,
    linkSync: (from, to) => {
      if (to.endsWith('.next')) throw Object.assign(new Error('EROFS'), { code: 'EROFS' });
      nodeFileLayer.linkSync(from, to);
    },
  };
  await writeTrail({ path, key, files, rotateBytes: 4_096, compress: false }, 10);
  expect(JSON.parse(readLinesOf(segment(path, 2))[0] as string)).toMatchObject({
    vkey,
    key_kept: 'EROFS',
  });
  expect(await verifyTrail(path, { key: vkey })).toMatchObject({ ok: true, level: 'signed' });
});

test('an outcome is signed too when a second supervisor rotated in between', async () => {
  const { key, vkey, path } = await newKey();
  const a = await openTrail({ path, key, compress: false });
  const b = await openTrail({ path, key, compress: false, rotateBytes: 2_048 });
  for (let call = 0; call < 8; call += 1) {
    await a.append(decision(`c${call}`));
    await new Promise((resolve) => setImmediate(resolve));
    await b.append(outcome(`c${call}`));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await a.close();
  await b.close();
  expect(await verifyTrail(path, { key: vkey, maxUnsigned: 0 })).toMatchObject({
    ok: true,
    level: 'signed',
  });
});

test('verifies a trail while it is written, rotated and compressed', async () => {
  const { key, vkey, path } = await newKey();
  const trail = await openTrail({ path, key, rotateBytes: 8_192 });
  let isWriting = true;
  const writing = (async () => {
    for (let call = 0; isWriting; call += 1) await trail.append(decision(`c${call}`));
  })();
  for (let round = 0; round < 12; round += 1) {
    const report = await verifyTrail(path, { key: vkey });
    expect([0, 3], JSON.stringify(report.problems)).toContain(report.exitCode);
  }
  isWriting = false;
  await writing;
  await trail.close();
  expect(await verifyTrail(path, { key: vkey, maxUnsigned: 0 })).toMatchObject({ ok: true });
}, 60_000);
