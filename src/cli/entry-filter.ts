import { EnforceError, type EntryFilter, FILTER_KEYS, type FilterKey } from '../index.ts';

const DECISIONS: Readonly<Record<string, string>> = {
  allowed: 'allowed',
  allow: 'allowed',
  denied: 'denied',
  deny: 'denied',
  blocked: 'denied',
  'would-deny': 'would-deny',
};
const SPAN = /^(\d{1,9})(ms|s|m|h|d)$/;
const MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const TIME = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/;

/**
 * Filters such as `tool=fetch_page` and `since=1h`; a key that is given twice takes either value.
 *
 * @param nowMs - what durations count back from, ms since 1970
 * @throws {EnforceError} `ENF_CLI_USAGE` for an unknown key or a value that cannot match
 */
export function parseFilters(filters: readonly string[], nowMs: number): EntryFilter {
  const parsed: Partial<Record<FilterKey, string[]>> = {};
  for (const filter of filters) {
    const at = filter.indexOf('=');
    const key = FILTER_KEYS.find((each) => each === filter.slice(0, Math.max(at, 0)));
    if (key === undefined) {
      throw usage(`\`--filter\` takes key=value, key one of ${FILTER_KEYS.join(', ')}`);
    }
    parsed[key] = [...(parsed[key] ?? []), parseValue(key, filter.slice(at + 1), nowMs)];
  }
  return parsed;
}

function parseValue(key: FilterKey, value: string, nowMs: number): string {
  if (value === '') throw usage(`\`--filter ${key}=\` lacks a value`);
  if (key === 'since' || key === 'until') return parseTime(key, value, nowMs);
  if (key !== 'decision') return value;
  const decision = Object.hasOwn(DECISIONS, value) ? DECISIONS[value] : undefined;
  if (decision !== undefined) return decision;
  throw usage('`--filter decision=` takes allowed, denied or would-deny');
}

/** A span before now, or a time that says its zone; a date alone is its beginning in UTC. */
function parseTime(key: FilterKey, value: string, nowMs: number): string {
  const [, count, unit = ''] = SPAN.exec(value) ?? [];
  const spanMs = Number(count) * (MS[unit] ?? Number.NaN);
  const time = count === undefined ? (TIME.test(value) ? Date.parse(value) : NaN) : nowMs - spanMs;
  const date = new Date(time);
  if (!Number.isNaN(date.getTime())) return date.toISOString();
  const expected = 'a span such as 90s or 7d, or a time such as 2026-01-31T08:00:00Z';
  throw usage(`\`--filter ${key}=\` takes ${expected}`);
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', message);
}
