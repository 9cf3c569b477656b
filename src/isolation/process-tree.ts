import type { ProcessEntry } from './process-table.ts';

/**
 * The processes that belong to one worker, as far as looking can tell: its process group, its
 * descendants, and everything that was ever seen as one of these and still lives. A process that
 * leaves the group and loses its parent between two looks is missed; only a pid namespace or a
 * cgroup closes that gap.
 */
export class ProcessTree {
  readonly rootPid: number;
  readonly #read: () => Promise<readonly ProcessEntry[]>;
  #members: ReadonlyMap<number, string> = new Map();

  /** @param read - the process table; injected so that tests need no processes */
  constructor(rootPid: number, read: () => Promise<readonly ProcessEntry[]>) {
    this.rootPid = rootPid;
    this.#read = read;
  }

  /**
   * Looks again.
   *
   * @returns the live members, zombies left out
   * @throws what reading the process table throws; the members stay known
   */
  async refresh(): Promise<readonly ProcessEntry[]> {
    const living = (await this.#read()).filter((entry) => !entry.isZombie);
    const members = new Map(
      living.filter((entry) => this.#isKnown(entry)).map((entry) => [entry.pid, entry]),
    );
    addDescendants(members, living);
    this.#members = new Map([...members].map(([pid, { startedAt }]) => [pid, startedAt]));
    return [...members.values()];
  }

  #isKnown(entry: ProcessEntry): boolean {
    return (
      entry.pid === this.rootPid ||
      entry.groupId === this.rootPid ||
      this.#members.get(entry.pid) === entry.startedAt
    );
  }
}

function addDescendants(members: Map<number, ProcessEntry>, living: readonly ProcessEntry[]): void {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of living) {
    const siblings = children.get(entry.parentPid);
    if (siblings === undefined) children.set(entry.parentPid, [entry]);
    else siblings.push(entry);
  }
  const queue = [...members.keys()];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (members.has(child.pid)) continue;
      members.set(child.pid, child);
      queue.push(child.pid);
    }
  }
}
