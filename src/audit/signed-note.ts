import { isUtf8 } from 'node:buffer';
import { AuditError } from '../errors.ts';
import { decodeBase64 } from './base64.ts';
import {
  isKeyName,
  isSignedBy,
  parseVerifierKey,
  type Signer,
  type VerifierKey,
} from './signing-key.ts';

/** One signature line of a note. */
interface NoteSignature {
  readonly name: string;
  /** Eight hex digits. */
  readonly keyId: string;
  readonly signature: Buffer;
}

/** A signed note: text that ends with a line feed, and who signed it. */
export interface SignedNote {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/;
/** Every ASCII control character but the line feed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the standard forbids exactly these
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;

/**
 * Parses a signed note; says nothing about its signatures yet.
 *
 * @param source - UNTRUSTED
 * @returns null when it is malformed
 * @see C2SP signed-note, "Format"
 */
export function parseNote(source: Uint8Array | string): SignedNote | null {
  const bytes = Buffer.from(source as Uint8Array);
  if (bytes.length > NOTE_BYTES_MAX || !isUtf8(bytes)) return null;
  const whole = bytes.toString();
  const split = whole.lastIndexOf('\n\n');
  if (split === -1 || !whole.endsWith('\n') || CONTROL.test(whole)) return null;
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) return null;
  const signatures = lines.map(parseSignature).filter((signature) => signature !== null);
  if (signatures.length !== lines.length) return null;
  return { text: whole.slice(0, split + 1), signatures };
}

function parseSignature(line: string): NoteSignature | null {
  const match = SIGNATURE_LINE.exec(line);
  const name = match?.[1] ?? '';
  const bytes = decodeBase64(match?.[2] ?? '');
  if (!isKeyName(name) || bytes === null || bytes.length <= KEY_ID_BYTES) return null;
  const keyId = bytes.toString('hex', 0, KEY_ID_BYTES);
  return { name, keyId, signature: bytes.subarray(KEY_ID_BYTES) };
}

/** Which of the keys that were asked about signed a note. */
export interface NoteVerdict {
  readonly signers: readonly VerifierKey[];
  /** A signature names one of the keys and is not by it: the whole note is worthless. */
  readonly hasBadSignature: boolean;
}

/**
 * Checks the signatures by known keys; those by unknown keys are ignored, as the standard asks.
 *
 * @see C2SP signed-note, "Verifying"
 */
export function checkNote(note: SignedNote, keys: readonly VerifierKey[]): NoteVerdict {
  const data = Buffer.from(note.text);
  const signers = new Set<VerifierKey>();
  let hasBadSignature = false;
  for (const { name, keyId, signature } of note.signatures) {
    const key = keys.find((known) => known.name === name && known.id === keyId);
    if (key === undefined || signers.has(key)) continue;
    if (isSignedBy(key, data, signature)) signers.add(key);
    else hasBadSignature = true;
  }
  return { signers: [...signers], hasBadSignature };
}

/**
 * Signs a text.
 *
 * @param text - ends with a line feed
 * @throws {AuditError} `ENF_AUDIT_KEY` when a signer returns what its own key does not verify
 */
export async function signNote(text: string, signers: readonly Signer[]): Promise<string> {
  const data = Buffer.from(text);
  let note = `${text}\n`;
  for (const signer of signers) {
    const key = parseVerifierKey(signer.vkey);
    const signature = await signer.sign(data);
    if (signature.length !== SIGNATURE_BYTES || !isSignedBy(key, data, signature)) {
      throw new AuditError('ENF_AUDIT_KEY', `the signer of \`${key.name}\` gave a wrong signature`);
    }
    const bytes = Buffer.concat([Buffer.from(key.id, 'hex'), signature]);
    note += `\u2014 ${key.name} ${bytes.toString('base64')}\n`;
  }
  return note;
}

/**
 * Takes apart a file of notes that were written one behind the other.
 *
 * @param text - UNTRUSTED
 */
export function splitNotes(text: string): string[] {
  // A signature line followed by anything but another one ends a note.
  return text.split(/(?<=\n\u2014 [^\n]*\n)(?!\u2014 )/u).filter((note) => note !== '');
}
