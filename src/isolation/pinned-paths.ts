import { realpathSync } from 'node:fs';
import type { FilesystemRules } from '../call.ts';
import { isolationUnavailable } from './host-support-error.ts';

/**
 * Where the paths of a policy led when they were first used. A path that leads elsewhere later was
 * swapped: what one tool may write, another policy may read, and the first could put a link there.
 */
export class PinnedPaths {
  readonly #realPaths = new Map<string, string>();

  /** @throws {IsolationUnavailableError} when a path leads elsewhere than at its first use */
  check(rules: FilesystemRules): void {
    const swap = this.swappedIn(rules);
    if (swap !== null) throw swapped(swap);
  }

  /** The first path that leads elsewhere than at its first use; null when there is none. */
  swappedIn({ read, write, execute }: FilesystemRules): Swap | null {
    for (const path of [...read, ...write, ...execute]) {
      const real = realPathOf(path);
      // One that does not exist is refused with the view.
      if (real === null) continue;
      const first = this.#realPaths.get(path);
      if (first === undefined) this.#realPaths.set(path, real);
      else if (first !== real) return { path, first, real };
    }
    return null;
  }
}

interface Swap {
  readonly path: string;
  readonly first: string;
  readonly real: string;
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function swapped({ path, first, real }: Swap): Error {
  return isolationUnavailable({
    cause: `\`filesystem\`: \`${path}\` led to \`${first}\` at its first use and leads to \`${real}\` now`,
    remedy: 'put it back, or restart the supervisor if that is meant',
  });
}
