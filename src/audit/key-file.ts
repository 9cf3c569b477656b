import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { AuditError } from '../errors.ts';
import { type FileLayer, syncDirectory, writeFullyAsync } from './file-layer.ts';
import { createSecretFile, readSecretFile } from './private-file.ts';
import { makePrivateKey, parsePrivateKey, parseVerifierKey, type Signer } from './signing-key.ts';

/** What signs a trail: which key now, and which key next. */
export interface TrailKey {
  /**
   * The signer whose verifier key is `vkey`.
   *
   * @throws {AuditError} `ENF_AUDIT_KEY` when this is another key
   */
  signerOf(vkey: string): Signer;
  /** The signer that is in force according to the key itself, for a trail that has none yet. */
  readonly signer: Signer;
  /** Makes the key of the next segment; the reason as text when the key has to stay. */
  prepareNext(): Promise<Signer | string>;
  /** The key that waits for its hand-over, if it is the one with this verifier key. */
  waitingSigner(vkey: string): Signer | null;
  /** Replaces the old key by the one that waits, and erases it. */
  adoptNext(): Promise<void>;
  /** Removes a waiting key that no segment names. */
  discardNext(): void;
}

/** A key behind a callback, such as a KMS: it stays the same for all segments. */
export function signerKey(signer: Signer): TrailKey {
  parseVerifierKey(signer.vkey);
  return {
    signer,
    signerOf: (vkey) => requireKey(signer, vkey),
    prepareNext: async () => 'callback',
    waitingSigner: () => null,
    adoptNext: async () => {},
    discardNext: () => {},
  };
}

/** Reasons for which the file of a key cannot be replaced and the key stays. */
const FIXED = new Set(['EROFS', 'EACCES', 'EPERM', 'EBUSY']);

/**
 * A private key in a 0600 file, replaced at each rotation: whoever takes the key later cannot sign
 * anew what an erased key has signed.
 *
 * The next key waits in `<path>.next` until both keys have signed the hand-over, so a crash at any
 * point leaves the key that the newest segment names in one of the two files.
 */
export class KeyFile implements TrailKey {
  readonly #path: string;
  readonly #nextPath: string;
  readonly #files: FileLayer;
  #signer: Signer;

  /** @throws {AuditError} `ENF_AUDIT_KEY` when there is no usable key */
  constructor(path: string, files: FileLayer) {
    this.#path = path;
    this.#nextPath = `${path}.next`;
    this.#files = files;
    this.#signer = this.#read(path);
  }

  get signer(): Signer {
    return this.#signer;
  }

  signerOf(vkey: string): Signer {
    if (this.#signer.vkey === vkey) return this.#signer;
    // Another supervisor may have handed the key over; the file tells.
    this.#signer = this.#read(this.#path);
    return requireKey(this.#signer, vkey);
  }

  waitingSigner(vkey: string): Signer | null {
    if (this.#files.statSync(this.#nextPath) === undefined) return null;
    const next = this.#read(this.#nextPath);
    return next.vkey === vkey ? next : null;
  }

  async prepareNext(): Promise<Signer | string> {
    const { name } = parseVerifierKey(this.#signer.vkey);
    const text = makePrivateKey(name);
    try {
      this.discardNext();
      await createSecretFile(this.#nextPath, text, this.#files);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (FIXED.has(code)) return code;
      throw error;
    }
    return parsePrivateKey(text);
  }

  /** INVARIANT: at every moment the name holds a whole key, the old one or the new one. */
  async adoptNext(): Promise<void> {
    const old = this.#files.openSync(this.#path, constants.O_WRONLY);
    try {
      this.#signer = this.#read(this.#nextPath);
      this.#files.renameSync(this.#nextPath, this.#path);
      await syncDirectory(this.#files, dirname(this.#path));
      // A journal or a file system that copies on write may still hold the old key; only an
      // encrypted disk helps there.
      await writeFullyAsync(this.#files, old, Buffer.alloc(this.#files.fstatSync(old).size));
      await this.#files.fdatasync(old);
    } finally {
      this.#files.closeSync(old);
    }
  }

  discardNext(): void {
    if (this.#files.statSync(this.#nextPath) !== undefined) this.#files.unlinkSync(this.#nextPath);
  }

  #read(path: string): Signer {
    return parsePrivateKey(readSecretFile(path, this.#files));
  }
}

function requireKey(signer: Signer, vkey: string): Signer {
  if (signer.vkey === vkey) return signer;
  const expected = parseVerifierKey(vkey);
  const actual = parseVerifierKey(signer.vkey);
  throw new AuditError(
    'ENF_AUDIT_KEY',
    `the trail is signed by key \`${expected.name}+${expected.id}\`, got \`${actual.name}+${actual.id}\``,
  );
}
