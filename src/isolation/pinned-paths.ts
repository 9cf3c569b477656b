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
  check({ read, write, execute }: FilesystemRules): void {
    for (const path of [...read, ...write, ...execute]) {
      const real = realPathOf(path);
      // One that does not exist is refused with the view.
      if (real === null) continue;
      const first = this.#realPaths.get(path);
      if (first === undefined) this.#realPaths.set(path, real);
      else if (first !== real) throw swapped(path, { first, real });
    }
  }
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function swapped(path: string, { first, real }: { first: string; real: string }): Error {
  return isolationUnavailable({
    cause: `\`filesystem\`: \`${path}\` led to \`${first}\` at its first use and leads to \`${real}\` now`,
    remedy: 'put it back, or restart the supervisor if that is meant',
  });
}
