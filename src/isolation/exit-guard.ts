import { onExit } from 'signal-exit';
import { signalGroup } from './kill-tree.ts';

/**
 * Process groups that must not outlive this process. One guard for the whole process, however many
 * runners there are: what it reacts to, the end of this process, happens once.
 */
class ExitGuard {
  readonly #guarded = new Set<ReadonlySet<number>>();
  #release: () => void = () => {};

  guard(groups: ReadonlySet<number>): () => void {
    if (this.#guarded.size === 0) this.#install();
    this.#guarded.add(groups);
    return () => {
      this.#guarded.delete(groups);
      if (this.#guarded.size === 0) this.#release();
    };
  }

  #install(): void {
    // Ctrl-C does not reach the groups of tools, and a signal that ends this process runs no `exit`
    // listener: signal-exit sees both, and leaves signals that the program handles to the program.
    const forget = onExit(() => this.#kill());
    // Without a listener, SIGUSR1 from a child of the same user opens this process's inspector.
    process.on('SIGUSR1', doNothing);
    this.#release = () => {
      forget();
      process.off('SIGUSR1', doNothing);
    };
  }

  #kill(): void {
    for (const groups of this.#guarded) for (const pid of groups) signalGroup(pid);
  }
}

function doNothing(): void {}

const ofThisProcess = new ExitGuard();

/**
 * Kills process groups when this process exits or is ended by a signal that it does not handle.
 *
 * @param groups - leaders of the groups; read when the time comes
 * @returns stops guarding them
 */
export function guardGroups(groups: ReadonlySet<number>): () => void {
  return ofThisProcess.guard(groups);
}
