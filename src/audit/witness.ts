import { constants } from 'node:fs';
import { type FileLayer, nodeFileLayer, writeFullyAsync } from './file-layer.ts';
import { withTimeout } from './timeout.ts';

/**
 * Keeps checkpoints where the host of the trail cannot change them. A verifier that has them finds
 * a trail that was rolled back, or rewritten with a stolen key.
 */
export interface Witness {
  /** Takes one signed checkpoint; rejects or throws when it could not be kept. */
  publish(note: string): void | Promise<void>;
}

const TIMEOUT_MS = 5_000;

/**
 * Appends checkpoints to a file, for example on a mount that only takes additions.
 *
 * @param path - outside the directory of the trail; created with mode 0600
 */
export function fileWitness(path: string, files: FileLayer = nodeFileLayer): Witness {
  const { O_APPEND, O_CREAT, O_WRONLY } = constants;
  return {
    async publish(note) {
      const fd = files.openSync(path, O_APPEND | O_CREAT | O_WRONLY);
      try {
        await writeFullyAsync(files, fd, Buffer.from(note));
        await files.fdatasync(fd);
      } finally {
        files.closeSync(fd);
      }
    },
  };
}

/**
 * Hands checkpoints to a function.
 *
 * @param options.timeoutMs - after which a call that has not settled counts as failed
 */
export function callbackWitness(
  publish: (note: string) => void | Promise<void>,
  { timeoutMs = TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Witness {
  return { publish: (note) => withTimeout(async () => publish(note), timeoutMs, 'the witness') };
}
