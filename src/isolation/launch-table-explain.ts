import { getSystemErrorName } from 'node:util';
import type { LaunchArgument, LaunchRow } from './launch-table.ts';

/** A launch table for people: one line per row, with the call, its arguments and what must hold. */
export function explainLaunchTable(rows: readonly LaunchRow[]): string {
  const width = String(rows.length).length;
  return rows
    .map((row, index) => {
      const call = `${row.call}(${row.args.map(explainArgument).join(', ')})`;
      return `${String(index).padStart(width)}  ${row.purpose}\n${' '.repeat(width)}    ${call}${explainExpectation(row)}\n`;
    })
    .join('');
}

/** Name of an errno such as `EACCES`, or the number where Node knows none. */
export function errnoName(errno: number): string {
  return errno > 0 && errno < 4096 ? getSystemErrorName(-errno) : String(errno);
}

function explainArgument(argument: LaunchArgument): string {
  if (typeof argument === 'number' || typeof argument === 'bigint') return String(argument);
  if ('text' in argument) return JSON.stringify(argument.text);
  if ('texts' in argument) return JSON.stringify(argument.texts);
  if ('environment' in argument) return `{${Object.keys(argument.environment).join(', ')}}`;
  if ('bytes' in argument) return `{${Buffer.from(argument.bytes).toString('hex')}}`;
  if ('filter' in argument) return `{${argument.filter.length / 8} instructions}`;
  if ('slot' in argument) return `&${argument.slot}`;
  return '{this row}';
}

function explainExpectation(row: LaunchRow): string {
  if (row.mode === 'must-equal') return ` must be ${row.value}`;
  if (row.mode === 'may-fail') return ` may be ${errnoName(row.errno)}`;
  if (row.mode === 'store') return ` is kept as ${row.slot}`;
  return '';
}
