import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createEnforcer } from '../../../src/enforce/index.ts';
import { startApart } from '../apart.ts';
import { tool } from '../attempt.ts';
import { ALL, type EscapeCase, PROCESSES, STRONG } from '../escape-case.ts';

const CODE = tool('run-code.mjs');
const LOADER = '/lib64/ld-linux-x86-64.so.2';

/** Writes a file when it is loaded into a worker, whoever asked for that. */
const INJECTED = (marker: string): string =>
  `if (process.argv.some((word) => word.includes('process-entry'))) require('fs').writeFileSync(${JSON.stringify(marker)}, 'loaded')`;

export const NODE_CASES: readonly EscapeCase[] = [
  {
    ids: ['node-02'],
    title: 'starts a program although the policy says `exec: none`',
    claimedBy: STRONG,
    attempt: (on) => {
      const code = `for (const argv of a.ways) try {
          child_process.spawn(argv[0], argv.slice(1), { stdio: 'ignore' }).on('error', () => {});
        } catch {}
        await new Promise((resolve) => setTimeout(resolve, 700))`;
      const sleep = ['/usr/bin/sh', '-c', `sleep 1 # ${on.token}`];
      const ways = [
        sleep,
        [LOADER, ...sleep],
        [process.execPath, '-e', 'setTimeout(() => {}, 900)', on.token],
      ];
      // The tool itself is one process.
      return on.watch(CODE, { code, ways }, {}, (pids) => pids.length > 1);
    },
  },
  {
    ids: ['A5'],
    title: 'starts a program that it wrote itself, or one through the loader',
    claimedBy: STRONG,
    attempt: (on) => {
      const code = `fs.copyFileSync(process.execPath, 'mine'); fs.chmodSync('mine', 0o755);
        const words = ['-e', 'setTimeout(() => {}, 900)', a.token];
        for (const [program, ...first] of [[a.loader, './mine'], ['./mine']]) try {
          child_process.spawn(program, [...first, ...words], { stdio: 'ignore' }).on('error', () => {});
        } catch {}
        await new Promise((resolve) => setTimeout(resolve, 900))`;
      const limits = { fileSizeBytes: 2 ** 28, diskBytes: 2 ** 28, memoryBytes: 2 ** 29 };
      return on.watch(CODE, { code, loader: LOADER }, { limits }, (pids) => pids.length > 1);
    },
  },
  {
    ids: ['node-07'],
    title: 'loads code into the worker by the environment of the supervisor',
    claimedBy: PROCESSES,
    attempt: async (on) => {
      const marker = on.path('marker');
      const script = on.path('inject.cjs');
      writeFileSync(script, INJECTED(marker));
      const env = { ...process.env, NODE_OPTIONS: `--require ${script}` };
      if (on.isUnprotected) spawnSync(process.execPath, ['-e', '0', 'process-entry'], { env });
      else await startApart(on, CODE, { code: 'return 1' }, { env }).report;
      return existsSync(marker);
    },
  },
  {
    ids: ['node-16'],
    title: 'is changed after it was hashed, and runs under the old hash',
    claimedBy: ALL,
    attempt: async (on) => {
      const file = on.path('tool.mjs');
      const swap = (): void => writeFileSync(file, 'export default () => "new"');
      writeFileSync(file, 'export default () => "old"');
      // What only compares paths runs whatever is there.
      if (on.isUnprotected) {
        swap();
        return (
          (await on.run(file)).end.status === 'ok' && readFileSync(file, 'utf8').includes('new')
        );
      }
      return (await on.runSwapped(file, swap)).end.status === 'ok';
    },
  },
  {
    ids: ['ipc-14'],
    title: 'prints a secret in two pieces, past the redaction',
    claimedBy: PROCESSES,
    attempt: async (on) => {
      const secret = ['AK', 'IAIOSF', 'ODNN7EX', 'AMPL3'].join('');
      const code = `fs.writeSync(1, a.parts[0]); await new Promise((resolve) => setTimeout(resolve, 60)); fs.writeSync(1, a.parts[1])`;
      const parts = [secret.slice(0, 6), secret.slice(6)];
      if (on.isUnprotected) return (await on.run(CODE, { code, parts })).stdout.includes(secret);
      const isolation = { level: on.tier, min: on.tier };
      const enforcer = await createEnforcer({
        policy: { name: 'redacts', version: '1.0', isolation },
        audit: false,
      });
      try {
        const outcome = await enforcer.run(CODE, { code, parts });
        if (outcome.status !== 'ok') throw new Error(`it did not run: ${outcome.status}`);
        return outcome.stdout.includes(secret);
      } finally {
        await enforcer.close();
      }
    },
  },
  {
    ids: ['C5'],
    title: 'every process of a call is in its control group',
    claimedBy: STRONG,
    mustWork: true,
    noControl: () => 'an unprotected child has no group',
    attempt: async (on) => {
      const code = 'await new Promise((resolve) => setTimeout(resolve, 700))';
      const inGroup = await on.watch(CODE, { code }, {}, (pids) =>
        pids.every((pid) => readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes('enforcecore-')),
      );
      return inGroup || !on.hasCgroups;
    },
  },
];
