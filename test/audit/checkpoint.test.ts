import { describe, expect, test } from 'vitest';
import { checkpointText, parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { Frontier, hashLeaf } from '../../src/audit/merkle-tree.ts';
import { checkNote, signNote } from '../../src/audit/signed-note.ts';
import { makePrivateKey, parsePrivateKey, parseVerifierKey } from '../../src/audit/signing-key.ts';
import { base64, vectors } from './vectors.ts';

const tessera = vectors<{ checkpoints: string[]; tile0: string[]; entries: string; vkey: string }>(
  'tlog-tiles-tessera',
);

/** Entries of a bundle: a 16-bit length before each. */
function bundleEntries(bundle: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length; ) {
    const end = at + 2 + bundle.readUInt16BE(at);
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

describe('the log that Tessera wrote', () => {
  const entries = bundleEntries(base64(tessera.entries));
  const key = parseVerifierKey(tessera.vkey);

  test('has the leaf hashes of its first tile', () => {
    expect(entries.map((entry) => hashLeaf(entry))).toEqual(
      entries.map((_, i) => base64(tessera.tile0.at(-1) as string).subarray(32 * i, 32 * (i + 1))),
    );
  });

  test.each(tessera.checkpoints.map((source, size) => ({ size, source })))(
    'has the signed root of $size entries',
    ({ size, source }) => {
      const checkpoint = parseCheckpoint(source);
      const frontier = Frontier.empty();
      for (const entry of entries.slice(0, size)) frontier.add(hashLeaf(entry));
      expect(checkpoint).toMatchObject({ size, origin: key.name, root: frontier.root() });
      expect(checkpoint && checkNote(checkpoint.note, [key]).signers).toEqual([key]);
    },
  );
});

const signer = parsePrivateKey(makePrivateKey('example.com/t'));
const root = Buffer.alloc(32, 7);
const hash = root.toString('base64');

test('parses what it writes', async () => {
  const text = checkpointText({ origin: 'example.com/t', size: 12, root });
  expect(parseCheckpoint(await signNote(text, [signer]))).toMatchObject({
    origin: 'example.com/t',
    size: 12,
    root,
  });
});

test.each([
  ['a leading zero', `o\n01\n${hash}\n`],
  ['a sign', `o\n+1\n${hash}\n`],
  ['hexadecimal', `o\n0x1\n${hash}\n`],
  ['a size beyond a double', `o\n9007199254740993\n${hash}\n`],
  ['no size', `o\n\n${hash}\n`],
  ['no origin', `\n1\n${hash}\n`],
  ['a short root', 'o\n1\nAAAA\n'],
  ['a root that is not canonical base64', `o\n1\n${hash.slice(0, -2)}F=\n`],
  ['two lines', 'o\n1\n'],
])('refuses a checkpoint with %s', async (_, text) => {
  expect(parseCheckpoint(await signNote(text, [signer]))).toBeNull();
});

test('ignores extension lines, as the standard asks', async () => {
  expect(parseCheckpoint(await signNote(`o\n1\n${hash}\nextension\n`, [signer]))?.size).toBe(1);
});
