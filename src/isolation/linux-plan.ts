import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import type { WorkerSetup } from '../../worker/protocol.ts';
import type { Confinement, FilesystemRules, Layer, Limits, NetworkRules } from '../call.ts';
import { openedForOthers } from './access-by-others.ts';
import { type BubblewrapLaunch, bubblewrapArguments } from './bubblewrap.ts';
import type { CallCgroup } from './cgroup-call.ts';
import { watchCgroup } from './cgroup-watch.ts';
import { fileKey } from './disk-usage.ts';
import { type DiskWatch, watchBoth } from './disk-watch.ts';
import type { Resolution } from './egress-gate.ts';
import { buildEnvironment } from './environment.ts';
import type { ExplanationSection } from './explanation.ts';
import type { FilesystemView } from './filesystem-view.ts';
import { type RecordedView, type ViewCache, withGranted } from './filesystem-view-cache.ts';
import type { Mask } from './filesystem-view-masks.ts';
import { isolationUnavailable } from './host-support-error.ts';
import type { LandlockRules } from './landlock.ts';
import { landlockGaps } from './landlock-rights.ts';
import type { LaunchPlan } from './launch-plan.ts';
import type { LaunchRow } from './launch-table.ts';
import { explainLaunchTable } from './launch-table-explain.ts';
import { buildLaunchRows, type LaunchResourceLimits } from './launch-table-rows.ts';
import { usageOf, watchLimits } from './limit-watch.ts';
import type { LinuxHost } from './linux-host.ts';
import type { ProcessTree } from './process-tree.ts';
import type { WorkerSpec } from './runner.ts';
import type { BuiltinProfile } from './seccomp-builtin.ts';
import type { FilterCache } from './seccomp-cache.ts';
import { denyRules, type SeccompSituation } from './seccomp-rules.ts';
import type { ResolvedTarget } from './tool-target.ts';
import { entryPath, nodePath, programOf, type WorkerProgram } from './worker-program.ts';
import type { OwnedPaths } from './write-path-owners.ts';

/** What one call at `hardened` or `isolated` was given to run with. */
export interface LinuxCall {
  readonly job: WorkerSpec;
  readonly tier: 'hardened' | 'isolated';
  readonly host: LinuxHost;
  /** The call's own user, where the supervisor is root. */
  readonly uid: number | null;
  readonly cgroup: CallCgroup | null;
  /** Whose the write paths are, where the call has a user of its own. */
  readonly owners: readonly OwnedPaths[];
  /** An open mapping for each of the owners; none where nothing is started. */
  readonly mappings: readonly number[];
  /** Leaves out what cannot be mounted over now; see `RunningMasks`. */
  readonly settleMasks: (masks: readonly Mask[]) => readonly Mask[];
  /** Counts what the call writes; null where nothing has to be counted, and for `explain`. */
  readonly disk: DiskWatch | null;
  /** On this host at `hardened`; a tmpfs of that name at `isolated`. */
  readonly scratch: string;
  /** The proxy that is the call's only way out, where the policy names domains. */
  readonly egress: { readonly socketPath: string; readonly credentials: string } | null;
  /** How the supervisor finds addresses for a call without a network of its own. */
  readonly resolution: Resolution;
  /** Never readable for a tool: trail, policies, keys, state. */
  readonly protectedPaths: readonly string[];
  /** Those of earlier calls. */
  readonly views: ViewCache;
  /** Those of earlier calls. */
  readonly filters: FilterCache;
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

/** Where the inner launcher is inside the sandbox: descriptor 6, see `stdioOf` in `child.ts`. */
const LAUNCHER_DESCRIPTOR = 6;
const FIRST_TEXT_DESCRIPTOR = 7;
/** Where the tool finds the proxy's socket. */
const EGRESS_SOCKET = '/run/egress.sock';
/** Threads a worker itself needs where the user's threads are counted: Node hung at 12. */
const OWN_THREADS = 32;
/** bwrap itself and its pid 1, which the tool did not start. */
const SANDBOX_PROCESSES = 2;
/** Size of a scratch that the policy leaves unlimited. */
const SCRATCH_BYTES_DEFAULT = 1024 * 1024 * 1024;

/** A plan, and the paths in the policy's write paths that are mounted over. */
export interface LinuxPlan extends LaunchPlan {
  readonly masks: readonly Mask[];
  /** Whether a plan made now would grant the same paths, and they are still the same files. */
  readonly isCurrent: () => boolean;
}

/**
 * Everything a call is started with: profile, view, limits and rows as data.
 *
 * @throws {IsolationUnavailableError} when the policy cannot be enforced for this tool here
 */
export function planLinuxCall(call: LinuxCall): LinuxPlan {
  const { job, tier, host, scratch, cgroup, inherited } = call;
  const choice = sandboxChoice(job.target, job.confinement);
  const { view, isCurrent } = viewOf(call, choice);
  const holdsMemory = cgroup?.layers.includes('cgroup-memory') ?? false;
  const program = programOf(job, { setup: setupOf(call), holdsMemory });
  const env = {
    ...buildEnvironment(job.confinement.environment, inherited, scratch),
    ...(call.egress === null || program.channel === 'frames'
      ? {}
      : { ENFORCECORE_EGRESS: call.egress.credentials }),
  };
  const filter = call.filters.of(choice.profile, situationOf(call, choice));
  const parts = { call, choice, view, env, program, filterFor: filter.forPid };
  const isIsolated = tier === 'isolated';
  const sandbox = isIsolated ? sandboxOf(parts) : null;
  const { limits } = job.confinement;
  return {
    file: host.launcher.path,
    args: [],
    env: {},
    cwd: '/',
    channel: program.channel,
    layers: layersOf(call, choice),
    profileDigest: filter.digest,
    masks: view.masks,
    ...(brokersFetch(call) ? { fetchResolution: call.resolution } : {}),
    isCurrent,
    launch: {
      architecture: host.launcher.architecture,
      stages: (pid) =>
        sandbox === null
          ? [hardenedRows(parts, pid)]
          : [outerRows(parts, sandbox), innerRows(parts)],
      descriptor: isIsolated ? host.launcher.descriptor : null,
      texts: sandbox?.data.map(({ text }) => text) ?? [],
      descriptors: call.mappings,
    },
    watch: (tree, onBreach, onBlind, before) => {
      const watch =
        cgroup === null
          ? watchLimits(tree, isIsolated ? withSandbox(limits) : limits, onBreach, onBlind, before)
          : watchCgroup(cgroup, limits, onBreach, onBlind, before);
      if (call.disk === null) return watch;
      const pids = (): Promise<readonly number[]> => pidsOf(cgroup, tree);
      const ignored = new Set([fileKey(host.launcher.descriptor)]);
      return watchBoth(watch, call.disk.start({ pids, ignored, onBreach, onBlind }));
    },
    ownProcesses: isIsolated ? 1 + SANDBOX_PROCESSES : 1,
    usage: async (tree) => (cgroup === null ? usageOf(tree) : cgroup.readUsage()),
  };
}

/** At `hardened` there is no network to empty: the supervisor makes the requests. */
function brokersFetch({ job, tier }: LinuxCall): boolean {
  return tier === 'hardened' && typeof job.confinement.network === 'object';
}

/** Everything that runs for the call. 0 is a process that cannot be seen from here. */
async function pidsOf(cgroup: CallCgroup | null, tree: ProcessTree): Promise<readonly number[]> {
  const [file] = cgroup?.procsFiles ?? [];
  if (file === undefined) return (await tree.refresh()).map(({ pid }) => pid);
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}

function withSandbox(limits: Limits): Limits {
  return { ...limits, processesMax: limits.processesMax + SANDBOX_PROCESSES };
}

function setupOf({ uid, egress }: LinuxCall): WorkerSetup {
  const way = egress === null ? {} : { way: { ...egress, socketPath: EGRESS_SOCKET } };
  return { uid: uid ?? process.getuid?.() ?? 0, ...way };
}

/** Everything {@link planLinuxCall} decides, for people. */
export function explainLinuxCall(call: LinuxCall): readonly ExplanationSection[] {
  const choice = sandboxChoice(call.job.target, call.job.confinement);
  const { view } = viewOf(call, choice);
  const { launch, profileDigest } = planLinuxCall(call);
  const denied = denyRules(situationOf(call, choice)).map(
    ({ calls, reason }) => `${calls.join(' ')}: ${reason}`,
  );
  const stages = launch?.stages(0) ?? [];
  return [
    { title: `System calls: profile ${choice.profile}, SHA-256 ${profileDigest}`, lines: denied },
    { title: 'May read', lines: view.read },
    { title: 'May write', lines: view.write },
    { title: 'Files that it makes there belong to', lines: call.owners.flatMap(explainOwner) },
    { title: 'May execute', lines: view.execute },
    { title: 'Notes on files', lines: view.notes },
    ...stages.map((rows, stage) => ({
      title: `Launcher ${stage + 1} of ${stages.length}`,
      lines: explainLaunchTable(rows).trimEnd().split('\n'),
    })),
  ].filter(({ lines }) => lines.length > 0);
}

function explainOwner({ owner, paths }: OwnedPaths): readonly string[] {
  return paths.map((path) => `${path}: uid ${owner.uid}, gid ${owner.gid}`);
}

/** The profile of a call, after the defaults for its kind of tool. */
export interface SandboxChoice {
  readonly profile: BuiltinProfile;
  readonly exec: 'none' | 'any';
}

/**
 * Modules run under `strict` without new processes, commands under `compat` with them, unless the
 * policy says otherwise. Pure.
 */
export function sandboxChoice(
  { kind }: Pick<ResolvedTarget, 'kind'>,
  { isolation, explicit }: Confinement,
): SandboxChoice {
  const isCommand = kind === 'command';
  const written = (key: string): boolean => explicit.has(`isolation.${key}`);
  return {
    profile: isCommand && !written('profile') ? 'compat' : isolation.profile,
    exec: isCommand && !written('exec') ? 'any' : isolation.exec,
  };
}

interface Parts {
  readonly call: LinuxCall;
  readonly choice: SandboxChoice;
  readonly view: FilesystemView;
  readonly env: Readonly<Record<string, string>>;
  readonly program: WorkerProgram;
  readonly filterFor: (selfPid: number | null) => Uint8Array;
}

function viewOf(call: LinuxCall, { profile }: SandboxChoice): RecordedView {
  const { job, tier, scratch, protectedPaths, egress } = call;
  const { target, confinement } = job;
  if (target.kind === 'function') throw new TypeError('a function does not run in a sandbox');
  const isModule = target.kind === 'module';
  refuseWritableCode(target.identity.path, confinement.filesystem.write);
  const recorded = call.views.view({
    entry: isModule ? target.module : target.program,
    kind: target.kind,
    ...(isModule || target.script === undefined ? {} : { scripts: [target.script] }),
    rules: isModule || egress === null ? confinement.filesystem : withBridge(confinement),
    tier,
    profile,
    nodePath: nodePath(),
    runtimeDir: dirname(entryPath('process-entry')),
    home: homedir(),
    protectedPaths,
    scratch,
  });
  // A tool of a root supervisor is nobody on this host.
  const isNobody = call.uid !== null && tier === 'isolated';
  const { view, isCurrent } = withGranted(recorded, isNobody ? openedForOthers : (paths) => paths);
  return { view: { ...view, masks: call.settleMasks(view.masks) }, isCurrent };
}

/** A tool that may rewrite its own code runs other code at its next call. */
function refuseWritableCode(code: string, written: readonly string[]): void {
  const around = written.find((path) => code === path || code.startsWith(`${path}/`));
  if (around === undefined) return;
  throw isolationUnavailable({
    cause: `the tool \`${code}\` lies in the write path \`${around}\``,
    remedy: 'move the tool, or name a narrower `filesystem.write`',
  });
}

/** A command with a way out is started by Node. */
function withBridge({ filesystem }: Confinement): FilesystemRules {
  const { read, execute } = filesystem;
  const runtime = dirname(entryPath('network-bridge-entry'));
  return {
    ...filesystem,
    read: [...read, runtime, nodePath()],
    execute: [...execute, nodePath()],
  };
}

function situationOf(
  { job, tier, host, uid }: LinuxCall,
  { exec }: SandboxChoice,
): SeccompSituation {
  return {
    architecture: host.launcher.architecture,
    kernel: host.kernel,
    tier,
    exec,
    sameUid: uid === null,
    landlockAbi: host.landlockAbi,
    // Of the tool, known once it is started; only filters against signals need it.
    selfPid: 1,
    network: networkOf(job.confinement.network),
    sessions: 'allowed',
  };
}

function networkOf(rules: NetworkRules): SeccompSituation['network'] {
  return typeof rules === 'string' ? rules : 'domains';
}

function hardenedRows({ call, view, env, program, filterFor }: Parts, pid: number): Rows {
  const { uid, cgroup, scratch } = call;
  return buildLaunchRows({
    cgroupProcsFiles: cgroup?.procsFiles ?? [],
    rlimits: resourceLimits(call),
    identity: uid === null ? null : { uid, gid: uid },
    parentPid: process.pid,
    landlock: landlockRules(call, view, { ownProc: true }),
    seccomp: filterFor(pid),
    argv: [program.file, ...program.args],
    env,
    cwd: scratch,
    closeFrom: program.channel === 'frames' ? 4 : 3,
    owners: call.owners.map(({ paths }) => paths),
  });
}

type Rows = readonly LaunchRow[];

function sandboxOf({ call, view }: Parts): BubblewrapLaunch {
  const { uid, scratch, job, egress } = call;
  const own = process.getuid?.() ?? 0;
  const { network, limits } = job.confinement;
  return bubblewrapArguments({
    view,
    scratch: { path: scratch, bytes: finite(limits.diskBytes, SCRATCH_BYTES_DEFAULT) },
    user: {
      uid: uid ?? own,
      gid: uid ?? process.getgid?.() ?? own,
      droppedInside: uid !== null,
    },
    network: ({ none: 'none', domains: 'bridged', unrestricted: 'unrestricted' } as const)[
      networkOf(network)
    ],
    sockets: egress === null ? [] : [{ path: egress.socketPath, target: EGRESS_SOCKET }],
    firstDescriptor: FIRST_TEXT_DESCRIPTOR,
    command: [`/proc/self/fd/${LAUNCHER_DESCRIPTOR}`],
  });
}

/** Joins the group, opens the bind sources, becomes bwrap; all else is dropped by the inner one. */
function outerRows({ call }: Parts, { argv, binds, data }: BubblewrapLaunch): Rows {
  const { host, cgroup, uid } = call;
  if (typeof host.bubblewrap !== 'string') throw new TypeError('bubblewrap is not there');
  return buildLaunchRows({
    cgroupProcsFiles: cgroup?.procsFiles ?? [],
    rlimits: { ...resourceLimits(call), nofile: host.ownLimits.openFiles },
    identity: null,
    parentPid: process.pid,
    landlock: null,
    seccomp: null,
    argv: [host.bubblewrap, ...argv],
    // pid 1 inside shows its environment to the tool.
    env: {},
    cwd: '/',
    closeFrom: FIRST_TEXT_DESCRIPTOR + data.length,
    paths: binds.map(({ path }) => path),
    owners: call.owners.map(({ paths }) => paths),
    keepCapabilities: uid !== null,
    tableFollows: true,
  });
}

function innerRows({ call, view, env, program, filterFor }: Parts): Rows {
  const { uid, scratch } = call;
  return buildLaunchRows({
    cgroupProcsFiles: [],
    rlimits: resourceLimits(call),
    identity: uid === null ? null : { uid, gid: uid },
    // Its parent is pid 1 of the sandbox, which dies with bwrap.
    parentPid: null,
    landlock: landlockRules(call, view, { ownProc: false }),
    seccomp: filterFor(null),
    argv: [program.file, ...program.args],
    env,
    cwd: scratch,
    closeFrom: program.channel === 'frames' ? 4 : 3,
  });
}

function landlockRules(
  call: LinuxCall,
  { read, write, execute }: FilesystemView,
  { ownProc }: Pick<LandlockRules, 'ownProc'>,
): LandlockRules {
  const { host, job, egress } = call;
  return {
    abi: host.landlockAbi,
    // Opened after the change of user, by the row for `ownProc`: the link would be the supervisor's.
    read: read.filter((path) => path !== '/proc/self'),
    write,
    execute,
    unixSockets: egress === null ? [] : [EGRESS_SOCKET],
    ownProc,
    denyTcpAndUdp: job.confinement.network === 'none' || brokersFetch(call),
  };
}

function resourceLimits({ job, host, uid, cgroup }: LinuxCall): LaunchResourceLimits {
  const { openFilesMax, fileSizeBytes, cpuMs, processesMax }: Limits = job.confinement.limits;
  const { reuse } = job.confinement.isolation;
  const { ownLimits } = host;
  const countsUser = uid !== null && cgroup === null && Number.isFinite(processesMax);
  return {
    nofile: Math.min(openFilesMax, ownLimits.openFiles),
    fsizeBytes: Math.min(fileSizeBytes, ownLimits.fileSizeBytes),
    // The kernel counts over the life of a process, and a reused worker serves several calls.
    cpuSeconds: Math.min(Math.ceil((cpuMs * reuse) / 1000) + 1, ownLimits.cpuSeconds),
    ...(countsUser ? { nproc: processesMax + OWN_THREADS } : {}),
    core: ownLimits.coreBytes === 0 ? 0 : 1,
  };
}

function layersOf(call: LinuxCall, { profile, exec }: SandboxChoice): readonly Layer[] {
  const { job, tier, host, uid, cgroup, owners, disk, egress } = call;
  const { network } = job.confinement;
  return [
    ...['own-process', 'scrubbed-environment', 'wall-clock', 'output-cap'],
    ...(job.target.kind === 'module' ? ['framed-channel'] : []),
    ...['rlimits', 'no-new-privileges', 'landlock', ...landlockGaps(host.landlockAbi)],
    `seccomp-${profile}`,
    ...(exec === 'none' ? ['no-new-process'] : []),
    ...(uid === null ? [] : ['own-user']),
    ...(owners.length === 0 ? [] : ['mapped-owners']),
    ...(disk === null ? [] : ['disk-watched']),
    ...(cgroup?.layers ?? ['memory-sampled', 'cpu-sampled', 'processes-sampled']),
    ...(tier === 'isolated' ? ['pid-namespace', 'mount-namespace', 'ipc-namespace'] : []),
    ...(tier === 'isolated' && network !== 'unrestricted' ? ['network-namespace'] : []),
    ...(egress === null ? [] : ['egress-proxy']),
    ...(brokersFetch(call) ? ['brokered-fetch'] : []),
  ];
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise;
}
