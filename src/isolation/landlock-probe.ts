// Which Landlock the running kernel has, asked through the launcher itself: the answer then also
// says that the launcher runs here and that no filter around us forbids the calls.

import type { LaunchRow } from './launch-table.ts';
import { REPORT_DESCRIPTOR } from './launch-table.ts';

/**
 * The rows that ask the kernel for its Landlock ABI: eight bytes on the report descriptor and
 * exit code 0, or the launcher's refusal with ENOSYS (not built in) or EOPNOTSUPP (not enabled).
 */
export function landlockProbeRows(): readonly LaunchRow[] {
  const versionFlag = 1;
  return [
    {
      call: 'landlock_create_ruleset',
      args: [0, 0, versionFlag],
      mode: 'store',
      slot: 'abi',
      purpose: 'ask for the Landlock ABI',
    },
    {
      call: 'write',
      args: [REPORT_DESCRIPTOR, { slot: 'abi' }, 8],
      mode: 'must-equal',
      value: 8,
      purpose: 'report the Landlock ABI',
    },
    { call: 'exit_group', args: [0], mode: 'must-succeed', purpose: 'exit' },
  ];
}

/** The ABI that `landlockProbeRows` reported; 0 where the kernel has no Landlock. */
export function readLandlockProbe(run: {
  readonly exitCode: number | null;
  readonly report: Uint8Array;
}): number {
  if (run.exitCode !== 0 || run.report.length !== 8) return 0;
  return Number(Buffer.from(run.report).readBigInt64LE());
}
