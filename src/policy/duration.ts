const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** What a duration looks like: `500ms`, `30s`, `10m`, `1h`, `7d`. */
export const DURATION: RegExp = /^[0-9]{1,9}(ms|s|m|h|d)$/;

/** Milliseconds of a duration that matches {@link DURATION}. */
export function durationMs(duration: string): number {
  const unit = duration.replace(/^[0-9]+/, '') as keyof typeof UNIT_MS;
  return Number.parseInt(duration, 10) * UNIT_MS[unit];
}
