import { execa } from 'execa';
import type { GuestImage } from './guest-image.ts';

const BOOT_MS_MAX = 600_000;

/** What the guest printed on its serial console. */
export interface GuestRun {
  readonly console: string;
  /** Names of checks, in order, with what each was answered. */
  readonly checks: readonly { readonly name: string; readonly problem: string | null }[];
  /** True when every script came to its end and the guest switched itself off. */
  readonly finished: boolean;
}

/**
 * Boots the guest under TCG, QEMU's own interpreter: `/dev/kvm` of a virtual machine may open and
 * then hang. Killed after 600 s: about 90 s where nothing else runs, longer on a busy machine.
 */
export async function bootGuest({ kernel, initramfs }: GuestImage): Promise<GuestRun> {
  const { stdout } = await execa(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
      ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ...['-kernel', kernel, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off'],
    ],
    {
      reject: false,
      timeout: BOOT_MS_MAX,
      killSignal: 'SIGKILL',
      stdin: 'ignore',
      stderr: 'ignore',
    },
  );
  const lines = stdout.split(/\r?\n/);
  return {
    console: stdout,
    checks: lines.flatMap((line) => {
      const [, verdict, name = '', problem] = /^(PASS|FAIL) ([^:]+)(?:: (.*))?$/.exec(line) ?? [];
      return verdict === undefined
        ? []
        : [{ name, problem: verdict === 'PASS' ? null : (problem ?? '') }];
    }),
    finished: lines.some((line) => line.startsWith('DONE ')),
  };
}
