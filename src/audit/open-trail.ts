import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { AuditError } from '../errors.ts';
import type { AuditTrail, TrailOptions } from './audit-trail.ts';
import { DigestKey } from './digest-key.ts';
import { type FileLayer, nodeFileLayer } from './file-layer.ts';
import { DirectoryTrail } from './trail.ts';
import { TrailDirectory } from './trail-directory.ts';
import { TrailLock } from './trail-lock.ts';

const ROTATE_BYTES = 100 * 1024 * 1024;
const OPEN_WAIT_MS = 10_000;

/** statfs(2) magic numbers of file systems on which a lock does not reach the other machines. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x5346414f, 'afs'],
  [0x73757245, 'coda'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
]);

/**
 * Opens a trail, and continues it where it was left: a line that a crash left torn is cut off and
 * recorded. The trail is locked only while something is appended, so several supervisors of one
 * machine may have it open.
 *
 * @throws {AuditError} `ENF_AUDIT_OPEN` when it cannot be opened or continued, `ENF_AUDIT_LOCK` when
 *   another process holds its lock
 */
export async function openTrail(options: TrailOptions): Promise<AuditTrail> {
  const path = resolve(options.path);
  const files = options.files ?? nodeFileLayer;
  const clock = options.clock ?? (() => new Date());
  try {
    prepareDirectory(path, files);
    const digestKey = DigestKey.open(`${path}.digest-key`, files);
    const lock = new TrailLock(path, files);
    const directory = new TrailDirectory(path, files, clock);
    try {
      await lock.acquire(OPEN_WAIT_MS);
      const origin = await continueTrail(directory, options.origin);
      lock.release();
      return new DirectoryTrail({
        directory,
        lock,
        digestKey,
        durability: options.durability ?? 'os',
        segment: { origin, vkey: null },
        rotateBytes: options.rotateBytes ?? ROTATE_BYTES,
        rotateAgeMs: options.rotateAgeMs ?? Number.POSITIVE_INFINITY,
        clock,
      });
    } catch (error) {
      directory.close();
      lock.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof AuditError) throw error;
    throw new AuditError(
      'ENF_AUDIT_OPEN',
      `audit trail \`${path}\` cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error, details: { directory: path } },
    );
  }
}

function prepareDirectory(path: string, files: FileLayer): void {
  files.mkdirSync(path);
  const network = NETWORK_FILE_SYSTEMS.get(files.fileSystemType(path));
  if (network !== undefined) {
    throw new AuditError(
      'ENF_AUDIT_OPEN',
      `audit trail \`${path}\` must be on a local file system, got ${network}`,
    );
  }
}

/** Takes over what is there, under the lock; returns the origin of the trail. */
async function continueTrail(
  directory: TrailDirectory,
  asked: string | undefined,
): Promise<string> {
  const { needsSegment, torn } = directory.follow();
  const origin = directory.origin ?? asked ?? `localhost/enforcecore/${randomUUID()}`;
  if (asked !== undefined && asked !== origin) {
    throw new AuditError(
      'ENF_AUDIT_OPEN',
      `audit trail \`${directory.path}\`: its origin is \`${origin}\`, not \`${asked}\``,
    );
  }
  if (needsSegment) directory.startSegment({ origin, vkey: null }, torn ?? undefined);
  else if (torn !== null) directory.appendSync(directory.seal({ type: 'recovery', torn }));
  await directory.sync();
  return origin;
}
