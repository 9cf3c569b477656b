import { createHash, createHmac, randomBytes } from 'node:crypto';
import { AuditError } from '../errors.ts';
import { type FileLayer, nodeFileLayer } from './file-layer.ts';
import { createSecretFile, readSecretFile } from './private-file.ts';

const KEY_BYTES = 32;
const KEY_TEXT = /^[0-9a-f]{64}$/;

/**
 * Salts the digests of a trail: salt = HMAC-SHA-256(K, call id), digest = SHA-256(salt ‖ bytes).
 *
 * Without the salt, digests of guessable arguments could be looked up; with one salt per call,
 * revealing it proves one call and no other.
 */
export class DigestKey {
  readonly #key: Buffer;
  /** Of the last call: the values of one entry are digested one after the other. */
  #latest: { readonly callId: string; readonly salt: Buffer } | null = null;

  private constructor(key: Buffer) {
    this.#key = key;
  }

  /** A key that is forgotten with the process, for trails that have no directory. */
  static ephemeral(): DigestKey {
    return new DigestKey(randomBytes(KEY_BYTES));
  }

  /**
   * The key in a 0600 file, which is created when there is none.
   *
   * @throws {AuditError} `ENF_AUDIT_KEY` when the file cannot be used
   */
  static async open(path: string, files: FileLayer): Promise<DigestKey> {
    if (files.statSync(path) === undefined) await createKey(path, files);
    return DigestKey.read(path, files);
  }

  /**
   * The key in a 0600 file that is there already.
   *
   * @throws {AuditError} `ENF_AUDIT_KEY` when the file cannot be used
   */
  static read(path: string, files: FileLayer): DigestKey {
    const text = readSecretFile(path, files);
    if (!KEY_TEXT.test(text)) {
      throw new AuditError('ENF_AUDIT_KEY', `\`${path}\` must hold 64 hex digits`);
    }
    return new DigestKey(Buffer.from(text, 'hex'));
  }

  /** 32 bytes; reveal them to prove what the digests of this call were made of. */
  salt(callId: string): Buffer {
    return Buffer.from(this.#saltOf(callId));
  }

  /** 64 hex digits. */
  digest(callId: string, bytes: Uint8Array | string): string {
    return saltedDigest(this.#saltOf(callId), bytes);
  }

  #saltOf(callId: string): Buffer {
    if (this.#latest?.callId !== callId) {
      const salt = createHmac('sha256', this.#key).update(callId).digest();
      this.#latest = { callId, salt };
    }
    return this.#latest.salt;
  }
}

/**
 * Salt of one call, to be revealed together with the bytes that its digest was made of.
 *
 * @param path - the digest key of the trail: `<key>.digest-key`, or `<trail>.digest-key` when keyless
 * @returns 64 hex digits
 * @throws {AuditError} `ENF_AUDIT_KEY` when the file cannot be used
 */
export function revealSalt(path: string, callId: string): string {
  return DigestKey.read(path, nodeFileLayer).salt(callId).toString('hex');
}

/** What {@link DigestKey.digest} gives, from a salt that was revealed. */
export function saltedDigest(salt: Uint8Array, bytes: Uint8Array | string): string {
  return createHash('sha256').update(salt).update(bytes).digest('hex');
}

async function createKey(path: string, files: FileLayer): Promise<void> {
  try {
    await createSecretFile(path, randomBytes(KEY_BYTES).toString('hex'), files);
  } catch (error) {
    // EEXIST: another supervisor was first; its key is read by the caller.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new AuditError('ENF_AUDIT_KEY', `\`${path}\` cannot be created`, { cause: error });
    }
  }
}
