// bwrap 0.8 resolves the source of a bind when it starts and mounts it by name a moment later, links
// followed. A name that another call could swap for a link in between would bring any file of the
// host into the sandbox. What that call has mounted over it cannot swap.

import type { Mask } from './filesystem-view-masks.ts';
import { isWithinAny } from './filesystem-view-names.ts';

interface RunningCall {
  readonly write: readonly string[];
  readonly masked: ReadonlySet<string>;
}

/**
 * The masks of the calls that run now, one for all calls of a supervisor.
 *
 * A protected name that came into being below a write path while a call runs there was made by that
 * call, or may have been. Until it has ended the name is mounted over in no other call: it is not
 * protected, as it was not while it did not exist.
 */
export class RunningMasks {
  readonly #running = new Set<RunningCall>();

  /** Those of `masks` that no running call could swap. */
  settled(masks: readonly Mask[]): readonly Mask[] {
    return masks.filter((mask) => !bindsByName(mask) || !this.#isSwappable(mask.path));
  }

  /** Remembers a call; the returned function forgets it. Call it in the same turn as `settled`. */
  hold(call: { readonly write: readonly string[]; readonly masks: readonly Mask[] }): () => void {
    const running = { write: call.write, masked: new Set(call.masks.map(({ path }) => path)) };
    this.#running.add(running);
    return () => {
      this.#running.delete(running);
    };
  }

  #isSwappable(path: string): boolean {
    for (const { write, masked } of this.#running)
      if (isWithinAny(path, write) && !masked.has(path)) return true;
    return false;
  }
}

/** What is hidden is mounted over from elsewhere, and so is a name that did not exist. */
function bindsByName({ effect, exists }: Mask): boolean {
  return effect !== 'hide' && exists;
}
