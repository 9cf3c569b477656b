// One row of the performance table, as every script in this folder reports it, and how rows are shown.
import { appendFileSync } from 'node:fs';

/**
 * @typedef {object} Row
 * @property {string} what - what was measured, and against what
 * @property {number} value
 * @property {string} unit - `x` for a ratio of two sides of one run
 * @property {number | null} target - bound of the value; null where there is none
 * @property {'max' | 'min'} bound - whether the target is the largest or the smallest good value
 * @property {string} detail - the absolute figures behind a ratio
 * @property {string} doesNotShow
 */

export const median = (values) => percentile(values, 0.5);

/** The value below which `share` of the values lie. */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Whether a row meets its target; null where it has none. */
export function isMet({ value, target, bound }) {
  if (target === null) return null;
  return bound === 'max' ? value <= target : value >= target;
}

/** Prints rows for people; `npm run bench` also collects them from the file it names. */
export function report(rows) {
  for (const row of rows) {
    const met = isMet(row);
    const verdict = met === null ? '' : `, target ${targetOf(row)}: ${met ? 'met' : 'NOT MET'}`;
    console.log(`${row.what}: ${shown(row)}${verdict}\n    ${row.detail}`);
  }
  const file = process.env.BENCH_ROWS;
  if (file !== undefined)
    appendFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

export const shown = ({ value, unit }) =>
  `${Number(value.toPrecision(3))}${unit === 'x' ? '×' : ` ${unit}`}`;

export const targetOf = ({ target, bound, unit }) =>
  `${bound === 'max' ? '≤' : '≥'} ${shown({ value: target, unit })}`;
