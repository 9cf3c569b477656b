/** A tool that does nothing, for a worker that waits: see `rehearse` in `worker-session.ts`. */
export function doNothing(): string {
  return 'done';
}
