import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { AuditError } from '../errors.ts';
import { type FileLayer, syncDirectory, writeFully } from './file-layer.ts';

const FOR_OTHERS = 0o077;
const SECRET_BYTES_MAX = 4096;
const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/**
 * Text of a file that only its owner may read.
 *
 * @throws {AuditError} `ENF_AUDIT_KEY` when it cannot be read, or when others may read it
 */
export function readSecretFile(path: string, files: FileLayer): string {
  let fd: number | undefined;
  try {
    fd = files.openSync(path, O_RDONLY);
    const facts = files.fstatSync(fd);
    if (!facts.isFile() || (facts.mode & FOR_OTHERS) !== 0) {
      throw new AuditError(
        'ENF_AUDIT_KEY',
        `\`${path}\` must be a file of mode 0600, got ${(facts.mode & 0o7777).toString(8)}`,
      );
    }
    const bytes = Buffer.alloc(SECRET_BYTES_MAX);
    return bytes.toString('utf8', 0, files.readSync(fd, bytes, 0)).trim();
  } catch (error) {
    if (error instanceof AuditError) throw error;
    throw new AuditError('ENF_AUDIT_KEY', `\`${path}\` cannot be read`, { cause: error });
  } finally {
    if (fd !== undefined) files.closeSync(fd);
  }
}

/**
 * Creates a file of mode 0600 that holds a secret, on the disk before this returns.
 *
 * @throws the errno error `EEXIST` when something has that name
 */
export async function createSecretFile(
  path: string,
  text: string,
  files: FileLayer,
): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  const fd = files.openSync(draft, O_CREAT | O_EXCL | O_WRONLY);
  try {
    writeFully(files, fd, Buffer.from(`${text}\n`));
    await files.fdatasync(fd);
    // link(2), unlike rename(2), never replaces: two processes cannot both create the secret.
    files.linkSync(draft, path);
  } finally {
    files.closeSync(fd);
    files.unlinkSync(draft);
  }
  await syncDirectory(files, dirname(path));
}
