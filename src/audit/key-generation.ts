import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { AuditError } from '../errors.ts';
import { type FileLayer, nodeFileLayer } from './file-layer.ts';
import { createSecretFile } from './private-file.ts';
import { makePrivateKey, parsePrivateKey } from './signing-key.ts';

/** What a new key is for. */
export interface GenerateKeyOptions {
  /** Path of the private key: must not exist, is created with mode 0600. */
  readonly out: string;
  /** Origin of the trail, a URL without scheme; default `localhost/enforcecore/<uuid>`. */
  readonly origin?: string;
  readonly files?: FileLayer;
}

/**
 * Makes a signing key for one trail.
 *
 * @returns its verifier key, to be kept away from the host of the trail: it is what a verifier
 *   trusts, and the first key of a trail is the one that finds a rewrite with a stolen later one
 * @throws {AuditError} `ENF_AUDIT_KEY` when the file exists or cannot be created
 */
export async function generateKey({
  out,
  origin,
  files = nodeFileLayer,
}: GenerateKeyOptions): Promise<{ readonly vkey: string; readonly origin: string }> {
  const path = resolve(out);
  const name = origin ?? `localhost/enforcecore/${randomUUID()}`;
  const text = makePrivateKey(name);
  try {
    await createSecretFile(path, text, files);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    const what = exists ? 'exists already' : `cannot be created: ${(error as Error).message}`;
    throw new AuditError('ENF_AUDIT_KEY', `\`${path}\` ${what}`, { cause: error });
  }
  return { vkey: parsePrivateKey(text).vkey, origin: name };
}
