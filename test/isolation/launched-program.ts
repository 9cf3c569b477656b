import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { release } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { LandlockRules } from '../../src/isolation/landlock.ts';
import { landlockProbeRows, readLandlockProbe } from '../../src/isolation/landlock-probe.ts';
import { encodeLaunchTable, type LaunchRow } from '../../src/isolation/launch-table.ts';
import { buildLaunchRows, type LaunchTableInput } from '../../src/isolation/launch-table-rows.ts';
import { type Launcher, openLauncher } from '../../src/isolation/launcher.ts';
import { decodeLaunchReport, type LaunchOutcome } from '../../src/isolation/launcher-report.ts';
import { runLauncher } from '../../src/isolation/launcher-run.ts';
import { type BuiltinProfile, loadBuiltinProfile } from '../../src/isolation/seccomp-builtin.ts';
import { compileSeccomp } from '../../src/isolation/seccomp-compile.ts';
import { buildSeccompFilter, type SeccompSituation } from '../../src/isolation/seccomp-rules.ts';

export const isRoot = process.getuid?.() === 0;

/** A test that needs something of the host: skipped where it is absent, unless it was demanded. */
export function lacks(name: string, present: boolean): boolean {
  const { ENFORCECORE_TEST_REQUIRE = '' } = process.env;
  const demanded = ENFORCECORE_TEST_REQUIRE.split(',').includes(name);
  if (!present && demanded) throw new Error(`ENFORCECORE_TEST_REQUIRE names \`${name}\`: absent`);
  return !present;
}

export const launcher: Launcher = openLauncher();
export const landlockAbi: number = readLandlockProbe(
  await runLauncher(launcher, landlockProbeRows()),
);

const [major = 0, minor = 0] = release().split('.').map(Number);
const { architecture } = launcher;

/** A user that owns nothing and runs nothing else. */
export const OTHER_USER = { uid: 200123, gid: 200123 };

/** What a program needs of the system, as the default view will grant it. */
const SYSTEM_READ: readonly string[] = [
  '/usr',
  '/etc/ld.so.cache',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
  '/etc/hosts',
  '/etc/ssl/openssl.cnf',
  '/etc/ssl/certs',
  '/dev/urandom',
  '/dev/zero',
  '/proc/cpuinfo',
  '/proc/stat',
  '/proc/meminfo',
  '/sys/devices/system/cpu',
].filter((path) => existsSync(path));

export const SYSTEM_RULES: LandlockRules = {
  abi: landlockAbi,
  read: SYSTEM_READ,
  write: ['/dev/null'],
  execute: [],
  unixSockets: [],
  ownProc: true,
  denyTcpAndUdp: true,
};

export interface Launch {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly profile?: BuiltinProfile | null;
  readonly situation?: Partial<SeccompSituation>;
  /** `null`: no Landlock. Otherwise what is added to what the system needs. */
  readonly landlock?: Partial<LandlockRules> | null;
  readonly table?: Partial<LaunchTableInput>;
  /** Starts the launcher itself as this user, as an ordinary user's supervisor would. */
  readonly startAs?: { readonly uid: number; readonly gid: number };
  readonly stdin?: string;
  /** Descriptors that are inherited besides the launcher's own. */
  readonly leaked?: readonly number[];
}

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly outcome: LaunchOutcome;
}

/** Runs a program the way a supervisor does and waits for its end. */
export async function launch(options: Launch): Promise<Ended> {
  const child = spawn(launcher.path, [], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...(options.leaked ?? [])],
    env: {},
    detached: true,
    ...options.startAs,
  });
  const rows = rowsOf(options, child.pid ?? 0);
  const stdio = child.stdio as readonly (Readable | Writable | null)[];
  for (const stream of stdio) stream?.on('error', () => undefined);
  const [stdout, stderr, report] = [1, 2, 5].map((index) => collect(stdio[index] as Readable));
  (stdio[4] as Writable).end(encodeLaunchTable(rows, architecture));
  (stdio[0] as Writable).end(options.stdin ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) =>
      resolve({
        exitCode,
        signal,
        stdout: Buffer.concat(stdout ?? []).toString(),
        stderr: Buffer.concat(stderr ?? []).toString(),
        outcome: decodeLaunchReport(Buffer.concat(report ?? []), [rows]),
      }),
    );
  });
}

export function rowsOf(options: Launch, selfPid: number): readonly LaunchRow[] {
  const { profile = 'strict', landlock = {} } = options;
  const program = realpathSync(options.argv[0]);
  return buildLaunchRows({
    cgroupProcsFiles: [],
    rlimits: { nofile: 512, fsizeBytes: 2 ** 28, core: 1 },
    identity: null,
    parentPid: process.pid,
    landlock:
      landlock === null
        ? null
        : {
            ...SYSTEM_RULES,
            ...landlock,
            read: [...SYSTEM_READ, ...(landlock.read ?? [])],
            write: ['/dev/null', ...(landlock.write ?? [])],
            execute: [program, '/usr/lib', ...(landlock.execute ?? [])],
          },
    seccomp: profile === null ? null : filterOf(profile, { selfPid, ...options.situation }),
    argv: options.argv,
    env: { PATH: '/usr/bin:/bin', ...options.env },
    cwd: options.cwd ?? '/',
    closeFrom: 4,
    ...options.table,
  });
}

function situationOf(changes: Partial<SeccompSituation>): SeccompSituation {
  return {
    architecture,
    kernel: [major, minor],
    tier: 'hardened',
    exec: 'none',
    sameUid: true,
    landlockAbi,
    selfPid: null,
    network: 'none',
    sessions: 'allowed',
    ...changes,
  };
}

function filterOf(profile: BuiltinProfile, changes: Partial<SeccompSituation>): Uint8Array {
  return compileSeccomp(buildSeccompFilter(loadBuiltinProfile(profile), situationOf(changes)));
}

function collect(stream: Readable): readonly Buffer[] {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}
