import type { Tier } from '../../src/call.ts';
import type { Resolution } from '../../src/isolation/egress-gate.ts';
import type { Shortfall } from '../../src/isolation/host-support-error.ts';
import { type LinuxHost, probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import type { Runner } from '../../src/isolation/runner.ts';
import { ThreadRunner } from '../../src/isolation/thread-runner.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

/** Layers that a test hides from this run, as if the host lacked them: `bwrap`, `cgroup`. */
const { ENFORCECORE_TEST_WITHOUT = '' } = process.env;
const HIDDEN = ENFORCECORE_TEST_WITHOUT.split(',');
const IS_HIDDEN: Shortfall = { cause: 'the test hides it', remedy: 'do not hide it' };

/** What this host offers, less what the run hides. */
export async function probeTestHost(): Promise<LinuxHost | Shortfall> {
  const host = await probeLinuxHost();
  if ('cause' in host) return host;
  const noCgroups = { works: false, hierarchies: [], layers: [], shortfall: IS_HIDDEN };
  return {
    ...host,
    ...(HIDDEN.includes('bwrap') ? { bubblewrap: IS_HIDDEN } : {}),
    ...(HIDDEN.includes('cgroup') ? { cgroups: noCgroups } : {}),
  };
}

/** A runner for each tier that works here. The caller closes them. */
export function runnersOf(
  host: LinuxHost | Shortfall,
  resolution: Resolution = {},
): ReadonlyMap<Tier, Runner> {
  const runners: [Tier, Runner][] = [
    ['thread', new ThreadRunner()],
    ['process', new ProcessRunner()],
  ];
  if ('cause' in host) requireLayer('hardened');
  else {
    runners.push(['hardened', new LinuxRunner('hardened', host, [], resolution)]);
    if (typeof host.bubblewrap === 'string')
      runners.push(['isolated', new LinuxRunner('isolated', host, [], resolution)]);
    else requireLayer('bwrap');
  }
  return new Map(runners);
}
