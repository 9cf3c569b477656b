import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import {
  type AuditBackend,
  callbackBackend,
  type FileLayer,
  jsonlBackend,
  multiBackend,
  nodeFileLayer,
  nullBackend,
  openTrail,
  type SealedEntry,
  verifyTrail,
} from '../../src/audit/index.ts';
import {
  decision,
  firstSegment,
  outcome,
  readLinesOf,
  scratchPath,
  writeTrail,
} from './sample-trail.ts';
import { newSigner } from './tampering.ts';

/** A database as a test double: rows by sequence number, with the exact line. */
function memoryBackend() {
  const rows: SealedEntry[] = [];
  const notes: string[] = [];
  const backend: AuditBackend = {
    write: (entry) => void rows.push(entry),
    checkpoint: (note) => void notes.push(note),
    close: () => {},
  };
  return { backend, rows, notes };
}

const textOf = (rows: readonly SealedEntry[]) => rows.map(({ line }) => line.toString()).join('');

test('a backend gets the very bytes of every entry, also of those the trail writes itself', async () => {
  const path = scratchPath();
  const { backend, rows, notes } = memoryBackend();
  const options = { path, backend, key: newSigner(), rotateBytes: 4_096, compress: false };
  await writeTrail(options, 6);
  const names = readdirSync(path).filter((name) => name.endsWith('.jsonl'));
  const lines = names.sort().flatMap((name) => readLinesOf(join(path, name)));
  expect(names.length).toBeGreaterThan(1);
  expect(rows.map(({ line }) => line.toString().trimEnd())).toEqual(lines);
  expect(rows.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index));
  expect(notes.at(-1)).toBe(readFileSync(join(path, 'checkpoint'), 'utf8'));
});

test.each(['queue', 'os', 'disk'] as const)(
  'at `%s` an entry that a backend does not take is not written',
  async (durability) => {
    const path = scratchPath();
    let isAway = false;
    const backend = callbackBackend(() => {
      if (isAway) throw new Error('away');
    });
    const trail = await openTrail({ path, backend, durability });
    await trail.append(decision());
    isAway = true;
    await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    isAway = false;
    await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    await expect(trail.close()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  },
);

test.each([
  [
    'throws',
    () => {
      throw new Error('no');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no'))],
  ['never resolves', () => new Promise<void>(() => {})],
])(
  '[callback-throws] a callback that %s fails closed, is reported, and others are written',
  async (_, write) => {
    const { backend, rows } = memoryBackend();
    const onError = vi.fn();
    let isAway = false;
    const callback = callbackBackend(() => (isAway ? write() : undefined), {
      timeoutMs: 30,
      onError,
    });
    const trail = await openTrail({ backend: multiBackend([callback, backend]) });
    await trail.append(decision());
    isAway = true;
    await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    expect(onError).toHaveBeenCalledOnce();
    expect(rows).toHaveLength(3);
    await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
    await expect(trail.flush()).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  },
);

test('[sqlite-tail-deleted] rows deleted from the end of a database are missed by the checkpoint', async () => {
  const path = scratchPath();
  const signer = newSigner();
  const { backend, rows } = memoryBackend();
  await writeTrail({ path, backend, key: signer }, 5);
  const options = { key: signer.vkey };
  writeFileSync(firstSegment(path), textOf(rows));
  expect(await verifyTrail(path, options)).toMatchObject({ ok: true });
  writeFileSync(firstSegment(path), textOf(rows.slice(0, -2)));
  const report = await verifyTrail(path, options);
  expect(report.problems.map(({ kind }) => kind)).toContain('truncated');
});

test('a trail in a backend alone is a sound chain', async () => {
  const file = scratchPath('lines');
  const trail = await openTrail({ backend: jsonlBackend(file), origin: 'example.com/b' });
  expect(trail).toMatchObject({ signed: false, path: null, origin: 'example.com/b' });
  expect(trail.digest('c', 'x')).toMatch(/^[0-9a-f]{64}$/);
  const receipts = await Promise.all(
    [decision(), outcome(), decision()].map((entry) => trail.append(entry)),
  );
  expect(receipts.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  await trail.flush();
  await trail.close();
  await trail.close();
  await expect(trail.append(decision())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  expect(await verifyTrail(file)).toMatchObject({ ok: true, entries: 4 });
});

test.each(['key', 'witness', 'durability', 'rotateBytes', 'rotateAgeMs', 'retainMs', 'compress'])(
  'a trail in a backend alone refuses `%s`',
  async (name) => {
    const options = { backend: nullBackend(), [name]: name === 'key' ? newSigner() : 1 };
    await expect(openTrail(options as never)).rejects.toMatchObject({ code: 'ENF_AUDIT_OPEN' });
  },
);

test('a trail needs a place', async () => {
  await expect(openTrail({})).rejects.toMatchObject({ code: 'ENF_AUDIT_OPEN' });
});

test('the null backend takes everything', async () => {
  const trail = await openTrail({ backend: nullBackend() });
  expect(await trail.append(decision())).toMatchObject({ seq: 1 });
  await trail.close();
});

test('a jsonl backend cuts what a full disk left of a line', async () => {
  const file = scratchPath('lines');
  let isFull = false;
  const files: FileLayer = {
    ...nodeFileLayer,
    writeSync: (fd, bytes) => nodeFileLayer.writeSync(fd, isFull ? bytes.subarray(0, 100) : bytes),
  };
  const trail = await openTrail({ backend: jsonlBackend(file, files) });
  await trail.append(decision());
  isFull = true;
  await expect(trail.append(outcome())).rejects.toMatchObject({ code: 'ENF_AUDIT_WRITE' });
  expect(await verifyTrail(file)).toMatchObject({ ok: true, entries: 2 });
});

test('a backend of several closes and signs in all of them, and says who failed', async () => {
  const { backend, notes } = memoryBackend();
  const close = vi.fn();
  const failing: AuditBackend = {
    write: () => {},
    checkpoint: () => Promise.reject(new Error('x')),
    close,
  };
  const multi = multiBackend([failing, backend, nullBackend()]);
  await expect(multi.checkpoint?.('note')).rejects.toThrow('1 of 3 backends failed');
  expect(notes).toEqual(['note']);
  await multi.close();
  expect(close).toHaveBeenCalledOnce();
});
