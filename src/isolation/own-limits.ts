/** Hard limits of this process: nobody but root may raise them again. */
export interface OwnLimits {
  readonly openFiles: number;
  readonly fileSizeBytes: number;
  readonly cpuSeconds: number;
  readonly coreBytes: number;
}

/** The kernel's RLIM_INFINITY as far as a number goes; anything above is the same to it. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/**
 * The hard limits in the text of `/proc/self/limits`.
 *
 * @see proc_pid_limits(5)
 */
export function parseOwnLimits(text: string): OwnLimits {
  const hard = (name: string): number => {
    const value = new RegExp(`^${name} +\\S+ +(\\S+)`, 'm').exec(text)?.[1];
    const number = Number(value);
    return value === undefined || value === 'unlimited' ? UNLIMITED : number;
  };
  return {
    openFiles: hard('Max open files'),
    fileSizeBytes: hard('Max file size'),
    cpuSeconds: hard('Max cpu time'),
    coreBytes: hard('Max core file size'),
  };
}
