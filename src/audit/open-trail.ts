import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { AuditError } from '../errors.ts';
import { DraftNames, removeAbandoned } from './abandoned-files.ts';
import type { AuditTrail, TrailOptions } from './audit-trail.ts';
import { BackendTrail } from './backend-trail.ts';
import type { Checkpoint } from './checkpoint.ts';
import { CheckpointFiles } from './checkpoint-files.ts';
import { DigestKey } from './digest-key.ts';
import type { TornBytes } from './entry.ts';
import { type FileLayer, nodeFileLayer } from './file-layer.ts';
import { HeadSigner } from './head-signer.ts';
import { KeyFile, signerKey, type TrailKey } from './key-file.ts';
import { isKeyName, parseVerifierKey } from './signing-key.ts';
import { DirectoryTrail } from './trail.ts';
import { TrailDirectory } from './trail-directory.ts';
import { TrailLock } from './trail-lock.ts';

const OPEN_WAIT_MS = 10_000;
const WRITE_FOR_OTHERS = 0o022;

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
 * @throws {AuditError} `ENF_AUDIT_OPEN` when it cannot be opened or continued, `ENF_AUDIT_KEY` when
 *   a key is missing, readable by others or of another trail, `ENF_AUDIT_LOCK` when another process
 *   holds the lock
 */
export async function openTrail(options: TrailOptions): Promise<AuditTrail> {
  const { path, backend } = options;
  if (path !== undefined) return openDirectoryTrail({ ...options, path });
  if (backend !== undefined) return BackendTrail.open(backend, options);
  throw new AuditError('ENF_AUDIT_OPEN', 'an audit trail needs a `path` or a `backend`');
}

/** {@link openTrail} for a trail that has a directory. */
export async function openDirectoryTrail(
  options: TrailOptions & { readonly path: string },
): Promise<DirectoryTrail> {
  const path = resolve(options.path);
  try {
    return await open(path, options);
  } catch (error) {
    if (error instanceof AuditError) throw error;
    throw openError(path, error instanceof Error ? error.message : String(error), error);
  }
}

async function open(path: string, options: TrailOptions): Promise<DirectoryTrail> {
  checkOptions(path, options);
  const files = options.files ?? nodeFileLayer;
  const clock = options.clock ?? (() => new Date());
  prepareDirectory(path, files);
  const key = openKey(options.key, files);
  const digestBase = typeof options.key === 'string' ? options.key : path;
  const digestKey = await DigestKey.open(`${digestBase}.digest-key`, files);
  const lock = new TrailLock(path, files);
  const drafts = new DraftNames(lock.owner.token);
  const directory = new TrailDirectory(path, files, clock);
  try {
    if (options.backend !== undefined) directory.keepSealed();
    await lock.acquire(OPEN_WAIT_MS);
    removeAbandoned(path, lock.owner, files);
    const store = new CheckpointFiles(path, drafts, files);
    const headSigner = await continueTrail({ directory, store, key, asked: options.origin });
    lock.release();
    const origin = directory.origin as string;
    const trail = new DirectoryTrail({
      ...options,
      directory,
      drafts,
      files,
      lock,
      digestKey,
      headSigner,
      origin,
      clock,
    });
    await trail.start();
    return trail;
  } catch (error) {
    directory.close();
    lock.close();
    throw error;
  }
}

function checkOptions(path: string, { witness, key, origin }: TrailOptions): void {
  if (witness !== undefined && key === undefined) {
    throw openError(path, 'a witness keeps signed checkpoints, so it needs a `key`');
  }
  if (origin !== undefined && !isKeyName(origin)) {
    throw openError(path, '`origin` must be a URL without scheme, white space or plus');
  }
}

function prepareDirectory(path: string, files: FileLayer): void {
  files.mkdirSync(path);
  const network = NETWORK_FILE_SYSTEMS.get(files.fileSystemType(path));
  if (network !== undefined)
    throw openError(path, `it must be on a local file system, got ${network}`);
  const mode = files.statSync(path)?.mode ?? 0;
  if ((mode & WRITE_FOR_OTHERS) !== 0) {
    process.emitWarning(
      `audit trail \`${path}\`: others may write its directory`,
      'AuditTrailWarning',
    );
  }
}

function openKey(key: TrailOptions['key'], files: FileLayer): TrailKey | null {
  if (key === undefined) return null;
  return typeof key === 'string' ? new KeyFile(resolve(key), files) : signerKey(key);
}

interface Continuation {
  readonly directory: TrailDirectory;
  readonly store: CheckpointFiles;
  readonly key: TrailKey | null;
  readonly asked: string | undefined;
}

/** Takes over what is there, under the lock: cuts a torn end, settles the key, begins a segment. */
async function continueTrail({
  directory,
  store,
  key,
  asked,
}: Continuation): Promise<HeadSigner | null> {
  const latest = store.latest();
  if (latest === 'malformed') throw openError(directory.path, 'its checkpoint is malformed');
  if (latest !== null) directory.watchSize(latest.size);
  const { needsSegment, torn } = directory.follow();
  if (latest !== null) requireCheckpoint(directory, latest);
  const origin = chooseOrigin(directory, key, asked);
  const headSigner = key && new HeadSigner({ directory, store, key, origin });
  if (directory.vkey !== null && key === null) {
    throw new AuditError(
      'ENF_AUDIT_KEY',
      `audit trail \`${directory.path}\` is signed: its \`key\` is needed to continue it`,
    );
  }
  await headSigner?.settleKey();
  const isUpgrade = key !== null && directory.vkey === null;
  if (!needsSegment && torn !== null)
    directory.appendSync(directory.seal({ type: 'recovery', torn }));
  if (needsSegment || isUpgrade)
    await beginSegment(directory, headSigner, origin, torn ?? undefined);
  await directory.sync();
  return headSigner;
}

async function beginSegment(
  directory: TrailDirectory,
  headSigner: HeadSigner | null,
  origin: string,
  torn?: TornBytes,
): Promise<void> {
  if (headSigner === null) await directory.startSegment({ origin, vkey: null }, torn);
  else await headSigner.startSegment(torn);
}

/** Refuses to sign or continue a trail that its own last checkpoint does not fit. */
function requireCheckpoint(directory: TrailDirectory, { size, root }: Checkpoint): void {
  if (directory.head.size < size) {
    throw openError(
      directory.path,
      `it has ${directory.head.size} entries, its checkpoint covers ${size}; \`enforcecore audit recover --accept-loss\` continues it all the same`,
    );
  }
  if (directory.watchedRoot !== null && !directory.watchedRoot.equals(root)) {
    throw openError(directory.path, 'its entries are not those that its checkpoint covers');
  }
}

/** The name of the trail: as its segments say, as the key says, as asked, or a new one. */
function chooseOrigin(
  directory: TrailDirectory,
  key: TrailKey | null,
  asked: string | undefined,
): string {
  const keyName = key === null ? undefined : parseVerifierKey(key.signer.vkey).name;
  const origin = directory.origin ?? keyName ?? asked ?? `localhost/enforcecore/${randomUUID()}`;
  if (asked !== undefined && asked !== origin) {
    throw openError(directory.path, `its origin is \`${origin}\`, not \`${asked}\``);
  }
  if (keyName !== undefined && keyName !== origin) {
    throw new AuditError(
      'ENF_AUDIT_KEY',
      `audit trail \`${directory.path}\`: its origin is \`${origin}\`, its key is for \`${keyName}\``,
    );
  }
  return origin;
}

function openError(path: string, what: string, cause?: unknown): AuditError {
  return new AuditError('ENF_AUDIT_OPEN', `audit trail \`${path}\` cannot be opened: ${what}`, {
    cause,
    details: { directory: path },
  });
}
