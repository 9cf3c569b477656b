import { randomInt } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { type GroupOwner, isAlive, thisOwner } from './cgroup-owner.ts';
import { isolationUnavailable, type Shortfall } from './host-support-error.ts';

/** Ids `first` to `first + count - 1`. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

/** One line of `uid_map` or `gid_map`. */
interface Mapping extends IdRange {
  readonly outer: number;
}

/** Far above people, services, containers and the ranges that distributions hand out. */
const PREFERRED: IdRange = { first: 1_879_048_192, count: 16_777_216 };
/** Fewer are not worth the risk of meeting somebody else's; below are people and services. */
const COUNT_MIN = 4096;
const FIRST_MIN = 65_536;
const ATTEMPTS_MAX = 64;

/** The texts that say which ids exist here and whose they are. */
export interface IdTables {
  /** `/proc/self/uid_map` and `gid_map`. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** `/etc/subuid` and `subgid`; empty when there is none. */
  readonly subuid: string;
  readonly subgid: string;
  /** Whom this process sees as the owner of `/proc/sys/kernel`; null where there is no such folder. */
  readonly kernelUid: number | null;
}

/**
 * True when `uid` is the kernel's uid 0. Uid 0 of a rootless container is an ordinary user outside.
 *
 * A map only leads to the namespace above, where 0 may be an ordinary user again (podman's
 * `keep-id`); `/proc/sys/kernel` belongs to the kernel's 0 everywhere, so its owner says more.
 *
 * @see user_namespaces(7)
 */
export function isKernelRoot(
  uid: number,
  { uidMap, kernelUid }: Pick<IdTables, 'uidMap' | 'kernelUid'>,
): boolean {
  if (kernelUid !== null) return uid === kernelUid;
  return parseMap(uidMap).some(
    ({ first, outer, count }) => uid >= first && uid < first + count && outer + uid - first === 0,
  );
}

/**
 * Ids that calls can run as: mapped for users and groups alike, and nobody's subordinate ids.
 *
 * The preferred range is 1879048192 and up; where that is not mapped or is handed out, the highest
 * 4,096 ids that are free.
 */
export function callIdRange(tables: IdTables): IdRange | Shortfall {
  const handedOut = [...parseSubordinate(tables.subuid), ...parseSubordinate(tables.subgid)];
  const free = (range: IdRange) =>
    [tables.uidMap, tables.gidMap].every((map) =>
      parseMap(map).some((mapping) => contains(mapping, range)),
    ) && !handedOut.some((other) => overlaps(other, range));
  if (free(PREFERRED)) return PREFERRED;
  const ends = [
    ...parseMap(tables.uidMap).map(endOf),
    ...parseMap(tables.gidMap).map(endOf),
    ...handedOut.map(({ first }) => first),
  ];
  const candidates = ends
    .map((end) => ({ first: end - COUNT_MIN, count: COUNT_MIN }))
    .filter((range) => range.first >= FIRST_MIN && free(range))
    .sort((a, b) => b.first - a.first);
  return (
    candidates[0] ?? {
      cause: 'no 4096 user and group ids above 65535 are mapped here and free in /etc/subuid',
      remedy: 'run the supervisor as an ordinary user',
    }
  );
}

const endOf = ({ first, count }: IdRange): number => first + count;
const contains = (outer: IdRange, inner: IdRange): boolean =>
  inner.first >= outer.first && endOf(inner) <= endOf(outer);
const overlaps = (a: IdRange, b: IdRange): boolean => a.first < endOf(b) && b.first < endOf(a);

function parseMap(text: string): readonly Mapping[] {
  return [...text.matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)\s*$/gm)].map(([, first, outer, count]) => ({
    first: Number(first),
    outer: Number(outer),
    count: Number(count),
  }));
}

function parseSubordinate(text: string): readonly IdRange[] {
  return [...text.matchAll(/^[^:#\n]+:(\d+):(\d+)\s*$/gm)].map(([, first, count]) => ({
    first: Number(first),
    count: Number(count),
  }));
}

/**
 * Gives each call of a root supervisor an id that nothing else runs as.
 *
 * A file named for the id, made only if it was not there, keeps supervisors apart; it says who took
 * the id, so that what a killed supervisor left running can be found by its id.
 */
export class CallIdentities {
  readonly #range: IdRange;
  readonly #folder: string;

  /**
   * @param folder - the same for all supervisors of the host, on a file system that forgets at boot
   * @throws {IsolationUnavailableError} when the folder is somebody else's: in a shared place another
   *   user could have made it first, to name the ids that calls get and the users that are swept
   */
  constructor(range: IdRange, folder: string) {
    this.#range = range;
    this.#folder = folder;
    makeFolder(folder);
    const facts = lstatSync(folder);
    const isOurs = facts.isDirectory() && facts.uid === process.getuid?.();
    if (isOurs && (facts.mode & 0o022) === 0) return;
    throw isolationUnavailable({
      cause: `\`${folder}\` can be written by others, so that user ids cannot be kept apart`,
      remedy: `remove \`${folder}\``,
    });
  }

  /**
   * Takes a free id, for user and group alike.
   *
   * @throws {IsolationUnavailableError} when 64 random ids were all taken
   */
  take(): number {
    const { pidNamespace, pid, startTime } = thisOwner();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const id = this.#range.first + randomInt(this.#range.count);
      if (this.#claim(id, `${pidNamespace} ${pid} ${startTime}\n`)) return id;
    }
    throw isolationUnavailable({
      cause: `the user ids from ${this.#range.first} are in use`,
      remedy: `remove old files from \`${this.#folder}\``,
    });
  }

  /** Gives an id back. Nothing may run as it any more. */
  release(id: number): void {
    rmSync(join(this.#folder, `${id}`), { force: true });
  }

  /**
   * Ids whose supervisor is gone. Kill what runs as them, then release them.
   */
  orphaned(): readonly number[] {
    const here = thisOwner();
    return readdirSync(this.#folder)
      .filter(
        (name) => /^\d+$/.test(name) && contains(this.#range, { first: Number(name), count: 1 }),
      )
      .filter((name) => {
        const owner = this.#ownerOf(name);
        return owner !== null && !isAlive(owner, here);
      })
      .map(Number);
  }

  #claim(id: number, owner: string): boolean {
    try {
      writeFileSync(join(this.#folder, `${id}`), owner, { flag: 'wx', mode: 0o600 });
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  /** Null: its supervisor gave the id back since the folder was listed. */
  #ownerOf(name: string): GroupOwner | null {
    let text: string;
    try {
      text = readFileSync(join(this.#folder, name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
    const [pidNamespace = '', pid = '0', startTime = ''] = text.trim().split(' ');
    return { pidNamespace, pid: Number(pid), startTime };
  }
}
