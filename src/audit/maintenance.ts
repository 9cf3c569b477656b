import { constants } from 'node:fs';
import { join } from 'node:path';
import type { DraftNames } from './abandoned-files.ts';
import type { AuditReceipt } from './audit-trail.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { RetentionEntry, RetiredSegment } from './entry.ts';
import { type FileLayer, syncDirectory } from './file-layer.ts';
import { compressFile, digestFile, readFirstLine } from './segment-content.ts';
import { listSegments, type SegmentFile } from './segment-files.ts';
import { parseSegmentHeader, type SegmentHeader } from './segment-header.ts';
import type { TrailDirectory } from './trail-directory.ts';

const CLOSED_MODE = 0o400;

/** What looking after closed segments needs. */
export interface MaintenanceParts {
  readonly directory: TrailDirectory;
  readonly drafts: DraftNames;
  readonly files: FileLayer;
  readonly compress: boolean;
  readonly retainMs: number;
  readonly clock: () => Date;
  /** Appends an entry that the trail writes itself. */
  readonly record: (entry: RetentionEntry) => Promise<AuditReceipt>;
  /** Null when the trail is keyless. */
  readonly checkpointer: Checkpointer | null;
}

interface ClosedSegment {
  readonly file: SegmentFile;
  readonly header: SegmentHeader;
  /** Of the segment behind it, whose beginning is the end of this one. */
  readonly next: SegmentHeader;
}

/**
 * Compresses closed segments and removes those that are older than the trail retains.
 *
 * It runs beside the appends and never makes one fail: what goes wrong leaves the segment as it was,
 * is said once as a process warning, and is tried again at the next rotation or start.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  #running: Promise<void> | null = null;
  #isDue = false;
  #isStopped = false;

  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  /** Looks after the closed segments in the background; once more when it is under way. */
  start(): void {
    this.#isDue = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Waits for the step under way and begins no other. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#isDue && !this.#isStopped) {
        this.#isDue = false;
        if (this.#parts.retainMs !== Number.POSITIVE_INFINITY) {
          await this.#retire(this.#listClosed());
        }
        if (this.#parts.compress) await this.#compress();
      }
    } catch (error) {
      const what = `audit trail \`${this.#parts.directory.path}\`: closed segments stay as they are`;
      process.emitWarning(`${what}: ${(error as Error).message}`, 'AuditMaintenanceWarning');
    }
  }

  #listClosed(): SegmentFile[] {
    const { directory, files } = this.#parts;
    const all = listSegments(files.readdirSync(directory.path));
    return all.filter(({ number }) => number < directory.segment);
  }

  async #compress(): Promise<void> {
    for (const file of this.#listClosed().filter(({ isCompressed }) => !isCompressed)) {
      if (this.#isStopped) return;
      await this.#compressSegment(file);
    }
  }

  /** The plain file goes only when the compressed one was read back and is on the disk. */
  async #compressSegment({ name }: SegmentFile): Promise<void> {
    const { directory, drafts, files } = this.#parts;
    const plain = join(directory.path, name);
    const draft = drafts.next(`${plain}.gz`);
    try {
      await compressFile(plain, draft);
      if ((await digestFile(draft, true)) !== (await digestFile(plain, false))) {
        throw new Error('a compressed segment does not give back its bytes');
      }
      await this.#syncFile(draft);
      files.chmodSync(draft, CLOSED_MODE);
      files.renameSync(draft, `${plain}.gz`);
      await syncDirectory(files, directory.path);
      files.unlinkSync(plain);
    } catch (error) {
      if (files.statSync(draft) !== undefined) files.unlinkSync(draft);
      // Another supervisor compressed it at the same time, or removed it as too old.
      if (files.statSync(plain) !== undefined) throw error;
    }
  }

  async #syncFile(path: string): Promise<void> {
    const { files } = this.#parts;
    const fd = files.openSync(path, constants.O_RDONLY);
    try {
      await files.fdatasync(fd);
    } finally {
      files.closeSync(fd);
    }
  }

  /** Says in the trail what is going to be removed, has that signed, and only then removes it. */
  async #retire(closed: readonly SegmentFile[]): Promise<void> {
    const expired = await this.#findExpired(closed);
    if (expired.length === 0 || this.#isStopped) return;
    const segments = await Promise.all(expired.map((segment) => this.#describe(segment)));
    const { checkpointer, directory, files, record, retainMs } = this.#parts;
    const firstKept = (expired.at(-1) as ClosedSegment).file.number + 1;
    const { seq } = await record({ type: 'retention', retainMs, firstKept, segments });
    if (checkpointer !== null) {
      await checkpointer.run();
      if (checkpointer.signedSize <= seq)
        throw new Error('the retention entry could not be signed');
    }
    for (const { name } of closed.filter(({ number }) => number < firstKept)) {
      this.#remove(join(directory.path, name));
    }
    await syncDirectory(files, directory.path);
  }

  /** Another supervisor may have announced and removed the same segment. */
  #remove(path: string): void {
    try {
      this.#parts.files.unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** The oldest segments, without a gap, whose end is older than the trail retains. */
  async #findExpired(closed: readonly SegmentFile[]): Promise<ClosedSegment[]> {
    const { clock, directory, retainMs } = this.#parts;
    const limit = clock().getTime() - retainMs;
    const expired: ClosedSegment[] = [];
    const current = parseSegmentHeader(directory.headerLine);
    const distinct = closed.filter(({ number }, index) => closed[index - 1]?.number !== number);
    for (const [index, file] of distinct.entries()) {
      const header = await this.#readHeader(file);
      const following = distinct[index + 1];
      const next = following === undefined ? current : await this.#readHeader(following);
      if (header === null || next === null || next.startedMs > limit) break;
      if (next.number !== file.number + 1) break;
      expired.push({ file, header, next });
    }
    return expired;
  }

  async #readHeader({ name, isCompressed }: SegmentFile): Promise<SegmentHeader | null> {
    const line = await readFirstLine(join(this.#parts.directory.path, name), isCompressed);
    return line === null ? null : parseSegmentHeader(line);
  }

  async #describe({ file, header, next }: ClosedSegment): Promise<RetiredSegment> {
    const path = join(this.#parts.directory.path, file.name);
    return {
      segment: file.number,
      firstSeq: header.frontier.size,
      lastSeq: next.frontier.size - 1,
      sha256: await digestFile(path, file.isCompressed),
    };
  }
}
