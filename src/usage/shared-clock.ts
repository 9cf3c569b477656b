import { readFileSync, readlinkSync } from 'node:fs';

/** What the clocks of this host say. */
export interface ClockReading {
  /** Ms since 1970; people and time servers set it. */
  readonly wallMs: number;
  /** Ms that never go back; the same in every process of one boot. */
  readonly steadyMs: number;
  /** Names the boot, and the time namespace, in which `steadyMs` counts; null where nothing tells. */
  readonly boot: string | null;
}

/** The time of a store, as it is kept with its data. */
export interface StoreTime extends Omit<ClockReading, 'wallMs'> {
  /** Ms since 1970; never goes back. */
  readonly now: number;
}

/** A time before every other. */
export const START_OF_TIME: StoreTime = { now: 0, steadyMs: 0, boot: null };

/**
 * The time of a store after a reading by any process.
 *
 * A wall clock that is set back would make a store forget that time passes: within one boot the
 * steady clock goes on. That one stands still while the host sleeps, where the wall clock does not,
 * so the later of both counts.
 */
export function advanceTime(last: StoreTime, { wallMs, steadyMs, boot }: ClockReading): StoreTime {
  const isSameBoot = boot !== null && boot === last.boot;
  const passedMs = isSameBoot ? Math.max(0, steadyMs - last.steadyMs) : 0;
  return { now: Math.max(last.now + passedMs, wallMs), steadyMs, boot };
}

/** Reads the clocks of this host. */
export function readClock(): ClockReading {
  return {
    wallMs: Date.now(),
    // CLOCK_MONOTONIC, which Linux counts from the boot; other systems have no boot id to compare.
    steadyMs: Number(process.hrtime.bigint() / 1_000_000n),
    boot: bootName(),
  };
}

function bootName(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${timeNamespace()}`;
  } catch {
    return null; // no procfs: the wall clock must do
  }
}

function timeNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/time');
  } catch {
    return ''; // before Linux 5.6 there is one for all
  }
}
