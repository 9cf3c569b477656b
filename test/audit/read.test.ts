import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DecisionEntry } from '../../src/audit/index.ts';
import {
  exportedEntryJsonSchema,
  exportTrail,
  openTrail,
  readTrail,
  verifyTrail,
} from '../../src/audit/index.ts';
import { openDirectoryTrail } from '../../src/audit/open-trail.ts';
import { decision, firstSegment, outcome, scratchPath, writeTrail } from './sample-trail.ts';

async function collect<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

test('yields the entries of all segments, plain and compressed, oldest first', async () => {
  const path = scratchPath();
  await writeTrail({ path, rotateBytes: 4_096 }, 20);
  const entries = await collect(readTrail(path));
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index));
  expect(entries.filter(({ type }) => type === 'decision')).toHaveLength(20);
  expect((await collect(readTrail(path, { fromSeq: 30 })))[0]?.seq).toBe(30);
});

test('reads one file, and leaves a line out that is being written', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 2);
  appendFileSync(firstSegment(path), '{"half":');
  expect(await collect(readTrail(firstSegment(path)))).toHaveLength(5);
});

test('a reader may stop early', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 5);
  for await (const entry of readTrail(path)) {
    if (entry.seq === 2) break;
  }
  rmSync(path, { recursive: true });
});

test.each([
  ['a damaged line', (path: string) => appendFileSync(firstSegment(path), 'garbage\n')],
  ['a line that is no object', (path: string) => appendFileSync(firstSegment(path), '42\n')],
  [
    'a line that is too long',
    (path: string) => appendFileSync(firstSegment(path), `"${'x'.repeat(70_000)}"\n`),
  ],
  ['no segments', (path: string) => rmSync(firstSegment(path))],
  ['no directory', (path: string) => rmSync(path, { recursive: true })],
  [
    'a damaged gzip file',
    (path: string) => {
      writeFileSync(`${firstSegment(path)}.gz`, gzipSync('x').subarray(0, 10));
      rmSync(firstSegment(path));
    },
  ],
])('throws for %s', async (_, spoil) => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  spoil(path);
  await expect(collect(readTrail(path))).rejects.toMatchObject({ code: 'ENF_AUDIT_READ' });
});

/** A trail that holds an entry of every type. */
async function everyType(): Promise<string> {
  const path = scratchPath();
  const trail = await openDirectoryTrail({ path });
  await trail.append(decision('c', { args: { a: [1, null] }, devMode: true, target: null }));
  const denied = { code: 'ENF_DENIED_TOOL', message: 'm', rule: 'denied_tools' } as const;
  const policy = { name: 'p', digest: 'd' };
  await trail.append(
    decision('c', { decision: { effect: 'deny', reasons: [denied], wouldDeny: true, policy } }),
  );
  await trail.append(
    outcome('c', {
      limit: 'wall',
      errorCode: 'ENF_LIMIT_WALL',
      wouldDeny: true,
      result: 'r',
      exit: null,
    }),
  );
  await trail.append(outcome('c', { result: 'x'.repeat(70_000), redactions: { a: 1 } }));
  await trail.append({
    type: 'egress',
    callId: 'c',
    host: 'h',
    port: 1,
    bytesIn: 0,
    bytesOut: 0,
    effect: 'deny',
    reason: 'r',
  });
  await trail.append({ type: 'kill_switch', action: 'reset', reason: 'r', actor: 'a' });
  await trail.appendOwn({ type: 'recovery', torn: { bytes: 1, sha256: '0'.repeat(64) } });
  await trail.appendOwn({ type: 'checkpoint_error', stage: 'sign', message: 'm' });
  await trail.appendOwn({ type: 'retention', retainMs: 1, firstKept: 1, segments: [] });
  await trail.close();
  return path;
}

test('exports every type of entry in the published form', async () => {
  const path = await everyType();
  const exported = await collect(exportTrail(path));
  expect(new Set(exported.map(({ type }) => type)).size).toBe(8);
  expect(exported.every(({ schema }) => schema === 'enforcecore.audit-entry.v1')).toBe(true);
  expect(exported[1]).toMatchObject({ seq: 1, type: 'decision', args: { a: [1, null] } });
  expect(await collect(exportTrail(path, { types: ['egress'], fromSeq: 2 }))).toHaveLength(1);
});

test('does not export what does not have that form', async () => {
  const path = await everyType();
  appendFileSync(firstSegment(path), '{"type":"decision","seq":99}\n');
  await expect(collect(exportTrail(path))).rejects.toMatchObject({ code: 'ENF_AUDIT_READ' });
});

test('publishes its form as JSON Schema', () => {
  const schema = JSON.stringify(exportedEntryJsonSchema());
  for (const name of ['previous_hash', 'args_digest', 'limits_hit', 'additionalProperties']) {
    expect(schema).toContain(name);
  }
});

test('any entry that callers can make is written in the published form', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  const text = fc.string({ unit: 'binary', maxLength: 50 });
  const entries = fc.record({
    callId: text,
    tool: text,
    tierAsked: text,
    redactions: fc.dictionary(text, fc.nat()),
    context: fc.record({ agent: text, session: text }, { requiredKeys: [] }),
    args: fc.jsonValue(),
    argsDigest: fc.option(text),
  });
  let count = 1;
  await fc.assert(
    fc.asyncProperty(entries, async (changes) => {
      await trail.append(decision('', changes as Partial<DecisionEntry>));
      count += 1;
    }),
    { numRuns: 300 },
  );
  await trail.close();
  const report = await verifyTrail(path);
  expect(report.problems).toEqual([]);
  expect(await collect(exportTrail(path))).toHaveLength(count);
});

test('a deep value and a long one are stored as their digest', async () => {
  const path = scratchPath();
  const trail = await openTrail({ path });
  let deep: unknown = 1;
  for (let depth = 0; depth < 40; depth += 1) deep = [deep];
  await trail.append(decision('c', { args: deep as never }));
  await trail.append(decision('c', { args: 'y'.repeat(65_000) }));
  await trail.append(decision('c', { args: 'y'.repeat(64_000) }));
  await trail.close();
  const entries = await collect(readTrail(path));
  const [, first, second, third] = entries.map(({ args }) => args);
  expect(first).toMatchObject({
    bytes: 81,
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(second).toMatchObject({ bytes: 65_002 });
  expect(third).toBe('y'.repeat(64_000));
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});
