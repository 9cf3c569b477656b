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

/**
 * Work to be done when this process has nothing left to do and is about to end by itself. Node waits
 * for what it starts; at `process.exit` and signals there is no time for it.
 */
class LastWork {
  readonly #acts = new Set<() => void>();
  readonly #run = (): void => {
    for (const act of this.#acts) act();
  };

  add(act: () => void): () => void {
    if (this.#acts.size === 0) process.on('beforeExit', this.#run);
    this.#acts.add(act);
    return () => {
      this.#acts.delete(act);
      if (this.#acts.size === 0) process.off('beforeExit', this.#run);
    };
  }
}

const lastOfThisProcess = new LastWork();

/**
 * Has something done when this process is about to end by itself: what lies ready does not keep it
 * running, and should not be left to be swept by the next one.
 *
 * @param act - called again as often as it gave the process something to do
 * @returns forgets it
 */
export function beforeEnd(act: () => void): () => void {
  return lastOfThisProcess.add(act);
}
