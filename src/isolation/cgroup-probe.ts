import { writeFileSync } from 'node:fs';
import { execa } from 'execa';
import type { Layer, Limits } from '../call.ts';
import { type CgroupSupport, createCallCgroup, sweepCgroups } from './cgroup.ts';
import type { CallCgroup } from './cgroup-call.ts';
import { DELEGATE, prepareHierarchy } from './cgroup-delegation.ts';
import { hostGroupFiles } from './cgroup-files.ts';
import { type Controller, type Hierarchy, ownHierarchies } from './cgroup-hierarchy.ts';
import { isolationUnavailable, type Shortfall } from './host-support-error.ts';

const PROBE_MS_MAX = 5000;

/**
 * Finds out whether calls can have control groups, by making one, putting a process into it and
 * killing it there. Sweeps the groups of supervisors that died, and moves this process into a
 * group of its own where cgroup2 asks for that.
 *
 * @param files - of `/proc` and the trees of groups
 */
export async function probeCgroups(
  files: typeof hostGroupFiles = hostGroupFiles,
): Promise<CgroupSupport> {
  const found = ownHierarchies(files.read('/proc/self/mountinfo'), files.read('/proc/self/cgroup'));
  const prepared = found.map((hierarchy) => prepareHierarchy(hierarchy, files));
  const usable = prepared.filter((result) => 'folder' in result);
  const shortfall = prepared.find((result) => 'cause' in result) ?? null;
  const controllers = usable.flatMap((hierarchy) => hierarchy.controllers);
  if (!controllers.includes('memory') && !controllers.includes('pids'))
    return unusable(shortfall ?? { cause: 'no control groups are mounted', remedy: DELEGATE });
  const support = { works: true, hierarchies: usable, layers: layersOf(usable), shortfall };
  try {
    await sweepCgroups(usable);
    await tryGroup(support);
    return support;
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown';
    return unusable({ cause: `control groups do not work (${message})`, remedy: DELEGATE });
  }
}

function unusable(shortfall: Shortfall): CgroupSupport {
  return { works: false, hierarchies: [], layers: [], shortfall };
}

function layersOf(hierarchies: readonly Hierarchy[]): readonly Layer[] {
  const has = (controller: Controller) =>
    hierarchies.some(({ controllers }) => controllers.includes(controller));
  return [
    ...(has('memory') ? ['cgroup-memory'] : []),
    ...(has('pids') ? ['cgroup-pids'] : []),
    ...(has('cpu') ? ['cgroup-cpu'] : []),
    'cgroup-kill',
  ];
}

const PROBE_LIMITS: Limits = {
  wallMs: PROBE_MS_MAX,
  cpuMs: PROBE_MS_MAX,
  memoryBytes: 64 * 1_048_576,
  processesMax: 0,
  openFilesMax: 16,
  fileSizeBytes: 0,
  diskBytes: 0,
  inputBytes: 0,
  argumentDepthMax: 0,
  outputBytes: 0,
};

async function tryGroup(support: CgroupSupport): Promise<void> {
  const group = await createCallCgroup(support, PROBE_LIMITS);
  try {
    await killInGroup(group);
  } finally {
    await group.remove();
  }
}

async function killInGroup(group: CallCgroup): Promise<void> {
  const child = execa('sleep', [`${PROBE_MS_MAX / 1000}`], {
    reject: false,
    stdio: 'ignore',
    timeout: PROBE_MS_MAX,
    killSignal: 'SIGKILL',
    extendEnv: false,
  });
  for (const file of group.procsFiles) writeFileSync(file, `${child.pid}`);
  await group.kill();
  const { signal, timedOut } = await child;
  if (signal === 'SIGKILL' && !timedOut) return;
  throw isolationUnavailable({ cause: 'a process outlived its group', remedy: DELEGATE });
}
