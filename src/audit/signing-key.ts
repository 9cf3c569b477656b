import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { AuditError } from '../errors.ts';
import { decodeBase64 } from './base64.ts';

/** Signs checkpoints, for example with a key that never leaves a KMS. */
export interface Signer {
  /** Ed25519 signature of `data`, 64 bytes. */
  sign(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Verifier key in C2SP signed-note form: `name+hash+base64`. */
  readonly vkey: string;
}

/** A verifier key, taken apart. */
export interface VerifierKey {
  /** Also the origin of the trail that the key signs. */
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ public key), in hex. */
  readonly id: string;
  readonly publicKey: KeyObject;
  /** The text it was parsed from. */
  readonly vkey: string;
}

const ALGORITHM_ED25519 = 0x01;
const SEED_BYTES = 32;
const ID_CHARS = 8;
/** DER of a PKCS #8 and an SPKI Ed25519 key up to the 32 key bytes. @see RFC 8410 section 10 */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PRIVATE_PREFIX = 'PRIVATE+KEY+';
const KEY_NAME_MAX = 512;

/** A key name holds no white space and no plus. @see C2SP signed-note, "Signatures" */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.length <= KEY_NAME_MAX && !/[\s+\p{Cc}\p{Cs}]/u.test(name);
}

/**
 * Parses a verifier key.
 *
 * @throws {AuditError} `ENF_AUDIT_KEY` unless it is an Ed25519 key whose hash fits its name
 * @see C2SP signed-note, "Verifier keys"
 */
export function parseVerifierKey(text: string): VerifierKey {
  const vkey = text.trim();
  const key = parseKeyText(vkey);
  if (key === null) {
    throw new AuditError('ENF_AUDIT_KEY', 'a verifier key must have the form `name+hash+base64`');
  }
  const spki = Buffer.concat([SPKI_PREFIX, key.bytes]);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  if (key.id !== keyId(key.name, key.bytes)) {
    throw new AuditError('ENF_AUDIT_KEY', `the hash of verifier key \`${key.name}\` is wrong`);
  }
  return { name: key.name, id: key.id, publicKey, vkey };
}

/**
 * Parses a private key in the form that Go's `sumdb/note` uses, `PRIVATE+KEY+name+hash+base64`.
 *
 * @throws {AuditError} `ENF_AUDIT_KEY` unless it is an Ed25519 key whose hash fits its name
 */
export function parsePrivateKey(text: string): Signer {
  const key = text.startsWith(PRIVATE_PREFIX)
    ? parseKeyText(text.slice(PRIVATE_PREFIX.length))
    : null;
  if (key === null) {
    throw new AuditError('ENF_AUDIT_KEY', `a private key must begin with \`${PRIVATE_PREFIX}\``);
  }
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, key.bytes]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicBytes = rawPublicKey(createPublicKey(privateKey));
  if (key.id !== keyId(key.name, publicBytes)) {
    throw new AuditError('ENF_AUDIT_KEY', `the hash of private key \`${key.name}\` is wrong`);
  }
  return {
    vkey: `${key.name}+${key.id}+${keyBytesText(publicBytes)}`,
    sign: (data) => sign(null, data, privateKey),
  };
}

/**
 * Makes a new private key.
 *
 * @param name - origin of the trail that it will sign
 * @returns the text of {@link parsePrivateKey}
 */
export function makePrivateKey(name: string): string {
  if (!isKeyName(name)) {
    throw new AuditError('ENF_AUDIT_KEY', 'the name of a key must not hold white space or a plus');
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length);
  return `${PRIVATE_PREFIX}${name}+${keyId(name, rawPublicKey(publicKey))}+${keyBytesText(seed)}`;
}

/** True when `signature` is this key's signature of `data`. */
export function isSignedBy(key: VerifierKey, data: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, data, key.publicKey, signature);
}

interface KeyText {
  readonly name: string;
  readonly id: string;
  readonly bytes: Buffer;
}

function parseKeyText(text: string): KeyText | null {
  const [name = '', id = '', ...rest] = text.split('+');
  // Base64 may hold pluses itself.
  const bytes = decodeBase64(rest.join('+'));
  const isEd25519 = bytes?.length === 1 + SEED_BYTES && bytes[0] === ALGORITHM_ED25519;
  if (!isEd25519 || !isKeyName(name) || !/^[0-9a-f]{8}$/.test(id)) return null;
  return { name, id, bytes: bytes.subarray(1) };
}

function keyId(name: string, publicKey: Uint8Array): string {
  const input = Buffer.concat([
    Buffer.from(`${name}\n`),
    Uint8Array.of(ALGORITHM_ED25519),
    publicKey,
  ]);
  return hash('sha256', input).slice(0, ID_CHARS);
}

const keyBytesText = (bytes: Uint8Array): string =>
  Buffer.concat([Uint8Array.of(ALGORITHM_ED25519), bytes]).toString('base64');

const rawPublicKey = (key: KeyObject): Buffer =>
  key.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
