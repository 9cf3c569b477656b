import { spawnSync } from 'node:child_process';
import type { RunReport } from '../../../src/isolation/runner.ts';
import { startApart } from '../apart.ts';
import { type Attempt, tool } from '../attempt.ts';
import { ALL, type EscapeCase, PROCESSES } from '../escape-case.ts';

const CODE = tool('run-code.mjs');
const FRAMES = tool('write-frames.mjs');

/** What a supervisor that was written without care makes of the same bytes. */
function naively(mode: 'frames' | 'ipc', attack: string): string {
  const words = [tool('naive-supervisor.mjs'), mode, FRAMES, attack];
  const { status, stdout } = spawnSync(process.execPath, words, { timeout: 20_000 });
  return status === 0 ? stdout.toString() : 'crashed';
}

/** An attack on the channel: the supervisor is one that may die of it. */
function channelAttack(
  ids: EscapeCase['ids'],
  title: string,
  attack: string,
  effect: {
    readonly mode?: 'frames' | 'ipc';
    readonly naive: (told: string) => boolean;
    readonly here: (report: RunReport) => boolean;
  },
): EscapeCase {
  return {
    ids,
    title,
    claimedBy: PROCESSES,
    attempt: async (on) => {
      if (on.isUnprotected) return effect.naive(naively(effect.mode ?? 'frames', attack));
      const report = await startApart(on, FRAMES, { attack }).report;
      // A supervisor that died gives no report.
      return report === null || effect.here(report);
    },
  };
}

const crashed = (told: string): boolean => told === 'crashed';
const isNotRefused = ({ end }: RunReport): boolean => end.status !== 'protocol-violation';

export const CHANNEL_CASES: readonly EscapeCase[] = [
  channelAttack(['ipc-01'], 'writes what is no message', 'garbage', {
    mode: 'ipc',
    naive: crashed,
    here: isNotRefused,
  }),
  channelAttack(['ipc-11'], 'sends a message of Node’s own protocol', 'handle', {
    mode: 'ipc',
    naive: crashed,
    here: isNotRefused,
  }),
  channelAttack(['ipc-04'], 'floods the supervisor with messages', 'messages', {
    naive: (told) => told.includes('flooded'),
    here: isNotRefused,
  }),
  channelAttack(['ipc-04-bytes'], 'floods it with one message without end', 'flood', {
    naive: (told) => told.includes('grew'),
    here: isNotRefused,
  }),
  channelAttack(['ipc-05'], 'sends JSON that is nested too deep to walk', 'deep', {
    naive: crashed,
    here: isNotRefused,
  }),
  channelAttack(['ipc-07'], 'changes the prototype of every object of the supervisor', 'proto', {
    naive: (told) => told.includes('"isAdmin":1'),
    here: (report) => isNotRefused(report) || 'isAdmin' in {},
  }),
  channelAttack(['ipc-08'], 'answers for another call', 'other-call', {
    naive: (told) => told.includes('forged'),
    here: isNotRefused,
  }),
  channelAttack(['ipc-10'], 'claims its own decision, usage and layers', 'fields', {
    naive: (told) => told.includes('forged'),
    here: (report) => isNotRefused(report) || JSON.stringify(report).includes('forged'),
  }),
  {
    ids: ['ipc-06'],
    title: 'a result that is no JSON is an error of the tool',
    claimedBy: ALL,
    mustWork: true,
    noControl: () => 'it is what the supervisor answers',
    attempt: async (on) => {
      const results = ['const b = {}; b.b = b; return b', 'return 1n', 'return () => 1'];
      const reports = await Promise.all(results.map((code) => on.run(CODE, { code })));
      return reports.every(
        ({ end }) => end.status === 'tool-error' && end.code === 'ENF_TOOL_RESULT',
      );
    },
  },
  {
    ids: ['ipc-13'],
    title: 'runs code in the supervisor by a getter or `toJSON` of its result',
    claimedBy: PROCESSES,
    attempt: async (on) => {
      const code =
        'return { get a() { return process.pid }, toJSON() { return { pid: process.pid } } }';
      // What the supervisor serialises itself runs in it.
      if (on.isUnprotected) {
        const value = { toJSON: () => ({ pid: process.pid }) };
        return JSON.stringify(value) === JSON.stringify({ pid: process.pid });
      }
      const { end } = await on.run(CODE, { code });
      return JSON.stringify(end).includes(`"pid":${process.pid}}`);
    },
  },
  {
    ids: ['E3'],
    title: 'shuts its end of the channel while the supervisor writes',
    claimedBy: PROCESSES,
    noControl: () => 'a stream without a listener is an uncaught error by definition',
    attempt: async (on: Attempt) => {
      const code = `const s = new net.Socket({ fd: 3 }); s.destroy(); fs.closeSync(1); await new Promise((resolve) => setTimeout(resolve, 200))`;
      const { report } = startApart(on, CODE, { code, large: 'x'.repeat(60_000) });
      return (await report) === null;
    },
  },
];
