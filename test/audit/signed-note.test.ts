import { describe, expect, test } from 'vitest';
import { checkNote, parseNote, signNote, splitNotes } from '../../src/audit/signed-note.ts';
import {
  isKeyName,
  makePrivateKey,
  parsePrivateKey,
  parseVerifierKey,
} from '../../src/audit/signing-key.ts';
import { base64, vectors } from './vectors.ts';

interface NoteCase {
  readonly name: string;
  readonly note?: string;
  readonly noteB64?: string;
  readonly vkeys: readonly string[];
  readonly ok: boolean;
  readonly verified?: number;
}

const published = vectors<{
  skeys: { PeterNeumann: string };
  badVkeys: string[];
  cases: NoteCase[];
}>('signed-notes');

function verifiedBy({ note, noteB64, vkeys }: NoteCase): number {
  const parsed = parseNote(note ?? base64(noteB64 ?? ''));
  if (parsed === null) return 0;
  const verdict = checkNote(parsed, vkeys.map(parseVerifierKey));
  return verdict.hasBadSignature ? 0 : verdict.signers.length;
}

describe('published notes', () => {
  test('are all there', () => expect(published.cases).toHaveLength(16));
  test.each(published.cases)('$name', (vector) => {
    expect(verifiedBy(vector)).toBe(vector.ok ? vector.verified : 0);
  });
});

test.each(published.badVkeys)('refuses the verifier key %s', (vkey) => {
  expect(() => parseVerifierKey(vkey)).toThrow(expect.objectContaining({ code: 'ENF_AUDIT_KEY' }));
});

test('signs to the same bytes as Go', async () => {
  const [first] = published.cases as [NoteCase];
  const signer = parsePrivateKey(published.skeys.PeterNeumann);
  expect(signer.vkey).toBe(first.vkeys[0]);
  const text = (first.note as string).split('\n\n')[0];
  expect(await signNote(`${text}\n`, [signer])).toBe(first.note);
});

test('a new key signs what its own verifier key verifies', async () => {
  const signer = parsePrivateKey(makePrivateKey('example.com/trail'));
  const note = parseNote(await signNote('hello\n', [signer]));
  const key = parseVerifierKey(signer.vkey);
  expect(note && checkNote(note, [key]).signers).toEqual([key]);
});

test('refuses a signer whose signature its key does not verify', async () => {
  const signer = parsePrivateKey(makePrivateKey('example.com/trail'));
  for (const signature of [Buffer.alloc(64), Buffer.alloc(3)]) {
    await expect(signNote('hello\n', [{ ...signer, sign: () => signature }])).rejects.toMatchObject(
      {
        code: 'ENF_AUDIT_KEY',
      },
    );
  }
});

test.each([
  '',
  'PRIVATE+KEY+',
  'PRIVATE+KEY+a+00000000+AA==',
  `${makePrivateKey('a')}=`,
  makePrivateKey('a').replace('KEY+a+', 'KEY+b+'),
])('refuses the private key text %#', (text) => {
  expect(() => parsePrivateKey(text)).toThrow(expect.objectContaining({ code: 'ENF_AUDIT_KEY' }));
});

test.each(['', 'a b', 'a+b', 'a\nb', 'a\u00a0b', '\ud800', 'x'.repeat(513)])(
  '%j is no key name',
  (name) => {
    expect(isKeyName(name)).toBe(false);
    expect(() => makePrivateKey(name)).toThrow(expect.objectContaining({ code: 'ENF_AUDIT_KEY' }));
  },
);

test.each([
  ['base64 without padding', 'a\n\n\u2014 k AAAAAAA\n'],
  ['base64 with stray bits', 'a\n\n\u2014 k AAAAAAB=\n'],
  ['no signature bytes', 'a\n\n\u2014 k AAAAAA==\n'],
  ['a hyphen for the dash', 'a\n\n- k AAAAAAA=\n'],
  ['an empty line behind the signatures', 'a\n\n\u2014 k AAAAAAA=\n\n'],
  ['a tab', 'a\tb\n\n\u2014 k AAAAAAA=\n'],
  ['more than a megabyte', `${'a'.repeat(1_000_001)}\n\n\u2014 k AAAAAAA=\n`],
])('refuses a note with %s', (_, note) => {
  expect(parseNote(note)).toBeNull();
});

test('takes a file of notes apart', async () => {
  const signer = parsePrivateKey(makePrivateKey('example.com/trail'));
  const notes = await Promise.all(
    ['one\n', 'two\nlines\n', '- looks like a signature\n'].map((text) =>
      signNote(text, [signer, signer]),
    ),
  );
  expect(splitNotes(notes.join(''))).toEqual(notes);
  expect(splitNotes('')).toEqual([]);
});
