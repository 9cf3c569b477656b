import { type LaunchRow, REPORT_RECORD_BYTES } from './launch-table.ts';
import { errnoName } from './launch-table-explain.ts';

/** How far a launch got, as its report says. Only `executed` means that the program was started. */
export type LaunchOutcome =
  | { readonly state: 'executed' }
  | {
      readonly state: 'refused';
      /** The row that did not hold; -1 when the table itself was cut, too long or unreadable. */
      readonly row: number;
      /** The result of the row: an errno as a negative number, or a value that was not expected. */
      readonly result: number;
      readonly stage: number;
      /** One line for people: ``could not open `/x` without following a symlink: ELOOP``. */
      readonly cause: string;
    }
  | { readonly state: 'died'; readonly cause: string };

/**
 * What the report descriptor of a launch says, after it was closed.
 *
 * A launcher writes one record before it executes the program and one if it refuses. Where launchers
 * are chained, each writes its own. A launcher that was killed or crashed leaves fewer records than
 * there are stages: that is never taken for a program that ran.
 *
 * @param report - every byte that came from the descriptor
 * @param stages - the rows of each launcher of the chain, in order
 */
export function decodeLaunchReport(
  report: Uint8Array,
  stages: readonly (readonly LaunchRow[])[],
): LaunchOutcome {
  const records = readRecords(report);
  if (records === null || records.length > stages.length + 1) {
    return { state: 'died', cause: `the launcher left a report of ${report.length} bytes` };
  }
  const refusal = records.find((record) => !isReached(record, stages));
  if (refusal !== undefined) return refused(refusal, stages);
  const inOrder = records.every((record, stage) => record.stage === stage);
  if (inOrder && records.length === stages.length) return { state: 'executed' };
  return {
    state: 'died',
    cause: `the launcher ended after ${records.length} of ${stages.length} stages`,
  };
}

interface ReportRecord {
  readonly row: number;
  readonly result: number;
  readonly stage: number;
}

function readRecords(report: Uint8Array): readonly ReportRecord[] | null {
  if (report.length % REPORT_RECORD_BYTES !== 0) return null;
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  return Array.from({ length: report.length / REPORT_RECORD_BYTES }, (_, index) => {
    const word = (at: number) => Number(view.getBigInt64(index * REPORT_RECORD_BYTES + at, true));
    return { row: word(0), result: word(8), stage: word(16) };
  });
}

/** execve does not return 0, so a record about it with result 0 is the one written before it. */
function isReached(record: ReportRecord, stages: readonly (readonly LaunchRow[])[]): boolean {
  const rows = stages[record.stage];
  return rows?.[record.row]?.call === 'execve' && record.result === 0;
}

function refused(
  record: ReportRecord,
  stages: readonly (readonly LaunchRow[])[],
): LaunchOutcome & { state: 'refused' } {
  const row = stages[record.stage]?.[record.row];
  const result = record.result < 0 ? errnoName(-record.result) : `got ${record.result}`;
  const cause =
    row === undefined
      ? `the launcher did not get a whole table: ${result}`
      : `could not ${row.purpose}: ${result}`;
  return { state: 'refused', ...record, cause };
}
