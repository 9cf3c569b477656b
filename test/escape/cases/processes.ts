import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HELD_DESCRIPTOR, startApart } from '../apart.ts';
import { type Attempt, type Policy, tool } from '../attempt.ts';
import { type EscapeCase, PROCESSES, STRONG } from '../escape-case.ts';
import { buffer, bytes, call, result, sleepCall, syscallTool } from '../raw-calls.ts';
import { leaked } from './filesystem.ts';

const CODE = tool('run-code.mjs');
const FILES = tool('try-files.mjs');

/** New processes are allowed, and something to start. */
export const SPAWNING: Policy = {
  exec: 'any',
  filesystem: { execute: ['/usr/bin', '/usr/lib'] },
};

/** True when something of the call lives on 100 ms after its end. Fails when nothing ever ran. */
export async function leavesSomething(
  on: Attempt,
  code: string,
  policy: Policy = SPAWNING,
): Promise<boolean> {
  let most = 0;
  await on.watch(CODE, { code }, policy, (pids) => {
    most = Math.max(most, pids.length);
    return false;
  });
  if (most < 2 && !on.wasRefused) throw new Error('the tool started nothing');
  await delay(100);
  return on.alive().length > 0;
}

/** A daemon in a session of its own, deaf to signals, whose parent is gone before anybody looks. */
const DAEMON = `
  const loop = "trap '' TERM HUP INT; while :; do sleep 5; done # " + a.token;
  const script = '(setsid sh -c "$1" </dev/null >/dev/null 2>&1 &) & exit 0';
  child_process.spawnSync('/usr/bin/sh', ['-c', script, 'sh', loop], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 300));
`;

/** Lives on for eight seconds with every pipe of the call, and is nobody's child. */
const HOLD_PIPES = '(setsid sleep 8 &) & sleep 0.2';
const HELD_MS_MAX = 4000;

/** An attack on its own supervisor; `effect` looks at the supervisor while the attack waits. */
async function harms(
  on: Attempt,
  calls: readonly string[],
  effect: (supervisor: number) => boolean,
): Promise<boolean> {
  // The attack names its parent, which at `hardened` is the supervisor.
  const apart = startApart(on, syscallTool([call('getppid'), ...calls, sleepCall(800)]), {});
  let isHarmed = false;
  let isOver = false;
  const over = apart.report.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([over, delay(25)]);
    isHarmed ||= !isOver && effect(apart.pid);
  }
  if ((await apart.report) === null) throw new Error('the supervisor did not live to tell');
  return isHarmed;
}

const statField = (pid: number, field: number): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[field - 3];

const statusLine = (pid: number, file: 'limits' | 'status', name: string): string =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(name)) ?? '';

/** Unlike PTRACE_ATTACH it does not stop what it attaches to. */
const PTRACE_SEIZE = 0x4206;
const supervisor = result(0);
const limit = (soft: number): string => bytes(...word(soft), ...word(soft));
const word = (value: number): number[] => [
  ...Buffer.from(new BigUint64Array([BigInt(value)]).buffer),
];

/** What a tool could do to its supervisor, and how it shows. */
const CONTROLS: readonly {
  readonly id: string;
  readonly title: string;
  readonly calls: readonly string[];
  readonly effect: (pid: number) => boolean;
}[] = [
  {
    id: 'A2-prlimit',
    title: 'lowers the limits of its supervisor',
    calls: [call('prlimit64', supervisor, 10, limit(4321), 0)],
    effect: (pid) => / 4321 +4321 /.test(statusLine(pid, 'limits', 'Max file locks')),
  },
  {
    id: 'A2-priority',
    title: 'lowers the priority of its supervisor',
    calls: [call('setpriority', 0, supervisor, 3)],
    effect: (pid) => statField(pid, 19) === '3',
  },
  {
    id: 'A2-affinity',
    title: 'takes processors from its supervisor',
    calls: [call('sched_setaffinity', supervisor, 8, bytes(...word(1)))],
    effect: (pid) => statusLine(pid, 'status', 'Cpus_allowed_list').endsWith('\t0'),
  },
  {
    id: 'A2-scheduler',
    title: 'lets its supervisor run only when nothing else does',
    calls: [call('sched_setscheduler', supervisor, 5, bytes(0, 0, 0, 0))],
    effect: (pid) => statField(pid, 41) === '5',
  },
  {
    id: 'proc-07',
    title: 'attaches to its supervisor, to read and write its memory',
    calls: [call('ptrace', PTRACE_SEIZE, supervisor, 0, 0)],
    effect: (pid) => !statusLine(pid, 'status', 'TracerPid').endsWith('\t0'),
  },
];

export const PROCESS_CASES: readonly EscapeCase[] = [
  {
    ids: ['proc-01'],
    title: 'reads the environment of its supervisor',
    claimedBy: STRONG,
    attempt: async (on) => {
      const files = ['/proc/PPID/environ', `/proc/${process.pid}/environ`, '/proc/1/environ'];
      const { end } = await on.run(FILES, { attack: 'read-each', files });
      return JSON.stringify(end).includes('VITEST');
    },
  },
  {
    ids: ['proc-03'],
    title: 'lists the processes of the host',
    claimedBy: STRONG,
    attempt: async (on) => {
      const { end } = await on.run(FILES, { attack: 'list', folder: '/proc' });
      const seen: readonly string[] = JSON.stringify(end).match(/"\d+"/g) ?? [];
      return seen.includes(`"${process.pid}"`) || seen.length > 4;
    },
  },
  {
    ids: ['proc-04'],
    title: 'kills its supervisor',
    claimedBy: STRONG,
    attempt: async (on) => {
      const code = `try { process.kill(process.ppid, 'SIGKILL') } catch {}
        await new Promise((resolve) => setTimeout(resolve, 100))`;
      const apart = startApart(on, CODE, { code });
      const report = await apart.report;
      return report === null;
    },
  },
  ...CONTROLS.map(
    ({ id, title, calls, effect }): EscapeCase => ({
      ids: [id],
      title,
      claimedBy: STRONG,
      needs: ['gcc'],
      attempt: (on) => harms(on, calls, effect),
    }),
  ),
  {
    ids: ['k-11'],
    title: 'takes an open file out of its supervisor',
    claimedBy: STRONG,
    needs: ['gcc'],
    attempt: async (on) => {
      const held = openSync(await on.secret(), 'r');
      const calls = [
        call('getppid'),
        call('pidfd_open', result(0), 0),
        call('pidfd_getfd', result(1), HELD_DESCRIPTOR, 0),
        call('read', result(2), buffer(0), 100),
        call('write', 1, buffer(0), 100),
      ];
      const target = syscallTool(calls);
      const apart = startApart(on, target, {}, { held });
      const report = await apart.report;
      closeSync(held);
      if (report === null) throw new Error('the supervisor did not live to tell');
      return leaked(on, report);
    },
  },
  {
    ids: ['proc-09', 'B1', 'proc-14'],
    title: 'leaves a daemon in a session of its own, deaf to signals',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: (on) => leavesSomething(on, DAEMON),
  },
  {
    ids: ['B5'],
    title: 'keeps its supervisor waiting for pipes that a daemon holds',
    claimedBy: PROCESSES,
    mayRefuse: true,
    attempt: async (on) => {
      const command = ['/usr/bin/sh', '-c', HOLD_PIPES] as const;
      const ended = on.isUnprotected ? naiveRun(command) : on.run({ command }, {}, SPAWNING);
      const held = delay(HELD_MS_MAX, 'held', { ref: false });
      return (await Promise.race([ended, held])) === 'held';
    },
  },
];

/** What waits for its child's pipes to close waits for whoever has them. */
async function naiveRun([program, ...args]: readonly string[]): Promise<void> {
  const child = spawn(program ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  await once(child, 'close');
}
