import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Attempt, tool } from '../attempt.ts';
import { ALL, type EscapeCase, PROCESSES, STRONG } from '../escape-case.ts';
import { SPAWNING } from './processes.ts';

const CODE = tool('run-code.mjs');
const MB = 2 ** 20;
/** What is above a limit for this long was not noticed. */
const KEPT_MS = 1500;

/** A tool that goes on past its deadline. */
function endless(
  id: string,
  title: string,
  code: string,
  claimedBy: EscapeCase['claimedBy'] = PROCESSES,
): EscapeCase {
  return { ids: [id], title, claimedBy, attempt: (on) => on.outlivesDeadline(CODE, { code }) };
}

const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;

/** A sampled limit lets a tool have something for a moment, but not keep it. */
function kept(holds: (pids: readonly number[]) => boolean): (pids: readonly number[]) => boolean {
  let since = Number.POSITIVE_INFINITY;
  return (pids) => {
    if (!holds(pids)) return false;
    since = Math.min(since, performance.now());
    return performance.now() - since > KEPT_MS;
  };
}

/** Takes much more memory than it may have, by `grow`, and waits. */
function memoryBomb(ids: EscapeCase['ids'], title: string, grow: string): EscapeCase {
  const code = `const all = []; while (process.memoryUsage().rss < 330e6) ${grow}
    await new Promise((resolve) => setTimeout(resolve, 3000)); return all.length`;
  return {
    ids,
    title,
    claimedBy: PROCESSES,
    attempt: (on) =>
      on.watch(
        CODE,
        { code },
        {},
        kept((pids) => pids.some((pid) => residentBytes(pid) > 300 * MB)),
      ),
  };
}

/** Bytes of all files in the working folder of a tool. */
function bytesInScratch(pid: number): number {
  const folder = `/proc/${pid}/cwd`;
  return readdirSync(folder)
    .map((name) => statSync(join(folder, name)).blocks * 512)
    .reduce((sum, size) => sum + size, 0);
}

const fill = (files: number, megabytes: number, keptMs = 700): string => `
  const text = Buffer.alloc(${megabytes} * 2 ** 20, 1);
  for (let n = 0; n < ${files}; n += 1) try { fs.writeFileSync('file' + n, text) } catch {}
  await new Promise((resolve) => setTimeout(resolve, ${keptMs}));`;

/** Writes four times what it may, slowly enough to be noticed, and says so in a file of its own. */
function fillsWorkspace(ids: EscapeCase['ids'], title: string, write: string): EscapeCase {
  return {
    ids,
    title,
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      mkdirSync(on.path('work'));
      chmodSync(on.path('work'), 0o777);
      const code = `const text = Buffer.alloc(2 ** 20, 1);
        for (let n = 0; n < 64; n += 1) {
          ${write};
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
        fs.writeFileSync(a.folder + '/all', '')`;
      const filesystem = { write: [on.path('work')] };
      await on.run(
        CODE,
        { code, folder: on.path('work') },
        { filesystem, limits: { fileSizeBytes: 2 ** 30 } },
      );
      return existsSync(on.path('work', 'all'));
    },
  };
}

/** Exits before it gave a result; a naive supervisor takes exit code 0 for success. */
function exitsEarly(
  id: string,
  title: string,
  code: string,
  claimedBy: EscapeCase['claimedBy'],
): EscapeCase {
  return {
    ids: [id],
    title,
    claimedBy,
    attempt: async (on) => {
      if (on.isUnprotected) return spawnSync(process.execPath, ['-e', code]).status === 0;
      const args = { code: `await ${code}` };
      const { end } = await on.run(CODE, args, { limits: { wallMs: 2000 } });
      return end.status === 'ok';
    },
  };
}

/** At a tier, the tool itself awaits it. */
const UNSETTLED =
  '(async () => { setTimeout(() => {}, 1e9).unref(); await new Promise(() => {}) })()';

export const RESOURCE_CASES: readonly EscapeCase[] = [
  endless('res-01', 'loops for ever', 'for (;;);', ALL),
  endless(
    'res-02',
    'loops in microtasks',
    '(function f() { Promise.resolve().then(f) })(); await new Promise(() => {})',
    ALL,
  ),
  endless(
    'res-03',
    'starves the event loop by nextTick',
    '(function f() { process.nextTick(f) })(); await new Promise(() => {})',
    ALL,
  ),
  endless(
    'res-05',
    'waits for an atomic for ever',
    'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
    ALL,
  ),
  endless(
    'res-14',
    'drips output past its deadline',
    'setInterval(() => console.log(1), 50); await new Promise(() => {})',
  ),
  endless('res-18', 'sleeps for ever', 'await new Promise(() => setInterval(() => {}, 1e6))'),
  memoryBomb(
    ['res-06'],
    'fills its JavaScript heap',
    'for (let n = 0; n < 10; n += 1) all.push(new Array(1e5).fill(n));',
  ),
  memoryBomb(['res-07'], 'takes memory outside its heap', 'all.push(Buffer.alloc(8e6, 1));'),
  {
    ids: ['H-child'],
    title: 'takes memory in a child, and goes on when the child is killed',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: (on) => {
      const script = `const all = []; while (process.memoryUsage().rss < 330e6) all.push(Buffer.alloc(8e6, 1)); setTimeout(() => {}, 3000)`;
      const code = `child_process.spawnSync(process.execPath, ['-e', a.script, a.token]);`;
      const execute = ['/usr/bin', '/usr/lib', process.execPath];
      return on.watch(
        CODE,
        { code, script },
        { ...SPAWNING, filesystem: { execute } },
        kept((pids) => pids.some((pid) => residentBytes(pid) > 300 * MB)),
      );
    },
  },
  {
    ids: ['res-09'],
    title: 'fills the shared memory of the host',
    claimedBy: STRONG,
    attempt: async (on) => {
      const file = `/dev/shm/${on.token}`;
      await on.run(CODE, {
        code: 'try { fs.writeFileSync(a.file, Buffer.alloc(2e6)) } catch {}',
        file,
      });
      const made = existsSync(file);
      rmSync(file, { force: true });
      return made;
    },
  },
  {
    ids: ['res-10'],
    title: 'writes a file larger than it may',
    claimedBy: STRONG,
    attempt: (on) =>
      on.watch(CODE, { code: fill(1, 12) }, {}, (pids) =>
        pids.some((pid) => bytesInScratch(pid) > 8 * MB),
      ),
  },
  {
    ids: ['res-10-sum'],
    title: 'fills the disk with many files',
    claimedBy: STRONG,
    attempt: (on) =>
      on.watch(
        CODE,
        { code: fill(8, 4, 3000) },
        {},
        kept((pids) => pids.some((pid) => bytesInScratch(pid) > 16 * MB)),
      ),
  },
  fillsWorkspace(
    ['disk-01'],
    'fills a writable folder with many files',
    `fs.writeFileSync(a.folder + '/file' + n, text)`,
  ),
  fillsWorkspace(
    ['disk-02'],
    'fills a disk with a file that it removed and holds open',
    `if (n === 0) { global.file = fs.openSync(a.folder + '/file', 'w'); fs.unlinkSync(a.folder + '/file') }
     fs.writeSync(global.file, text)`,
  ),
  {
    ids: ['res-13'],
    title: 'floods its output',
    claimedBy: PROCESSES,
    attempt: async (on) => {
      // A pipe whose reader is slow says EAGAIN.
      const code = `for (let n = 0; n < 200; n += 1) {
        try { fs.writeSync(1, 'x'.repeat(65536)); } catch (error) { if (error.code !== 'EAGAIN') throw error; n -= 1; }
      }`;
      const { outputBytes } = await on.run(CODE, { code });
      return outputBytes > 4 * MB;
    },
  },
  exitsEarly('res-15', 'ends with its promise unsettled', UNSETTLED, PROCESSES),
  exitsEarly('node-09', 'exits before its result', 'process.exit(0)', ALL),
  {
    ids: ['res-16'],
    title: 'gives its result and goes on',
    claimedBy: PROCESSES,
    attempt: async (on) => {
      const code = `setTimeout(() => { for (;;); }, 0); return 1`;
      if (on.isUnprotected) return goesOn(on);
      await on.run(CODE, { code });
      await delay(100);
      return on.alive().length > 0;
    },
  },
  {
    ids: ['res-17'],
    title: 'burns CPU time in many threads',
    claimedBy: PROCESSES,
    attempt: (on) => {
      const code = `for (let n = 0; n < 4; n += 1) new worker_threads.Worker('for (;;);', { eval: true });
        await new Promise(() => {})`;
      return on.outlives(
        CODE,
        { code },
        { limits: { cpuMs: 400, wallMs: 20_000 } },
        1000 + on.graceMs,
      );
    },
  },
  {
    ids: ['proc-10'],
    title: 'starts processes without end',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: (on) => {
      const code = `for (let n = 0; n < 160; n += 1) {
          child_process.spawn('/usr/bin/sleep', ['20'], { argv0: a.token, stdio: 'ignore' }).on('error', () => {});
          if (n % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await new Promise((resolve) => setTimeout(resolve, 3000));`;
      return on.watch(
        CODE,
        { code },
        { ...SPAWNING, limits: { processesMax: 20 } },
        kept((pids) => pids.length > 120),
      );
    },
  },
  {
    ids: ['fs-21'],
    title: 'leaves a pipe where a result would be looked for',
    claimedBy: STRONG,
    mayRefuse: true,
    attempt: async (on) => {
      const code = `child_process.spawnSync('/usr/bin/mkfifo', ['result.json', 'stdout'])`;
      if (!on.isUnprotected)
        return on.outlives(CODE, { code }, { ...SPAWNING, limits: { wallMs: 60_000 } }, 20_000);
      // What reads every file of a folder waits for ever.
      spawnSync('mkfifo', [on.path('result.json')]);
      return spawnSync('cat', [on.path('result.json')], { timeout: 500 }).signal !== null;
    },
  },
  {
    ids: ['res-20'],
    title: 'runs on after the kill switch',
    claimedBy: ALL,
    attempt: async (on) => {
      const code = `process.on('SIGTERM', () => {}); await new Promise(() => setInterval(() => {}, 1e6))`;
      const calls = await Promise.all(Array.from({ length: 5 }, () => on.start(CODE, { code })));
      await delay(500);
      const all = Promise.all(calls.map(({ report }) => report));
      // The control has no switch.
      if (!on.isUnprotected) for (const { stop } of calls) stop();
      const outlived = await Promise.race([all.then(() => false), delay(2 * on.graceMs, true)]);
      for (const { stop } of calls) stop();
      await all;
      return outlived || on.alive().length > 0;
    },
  },
];

/** A child that is not watched after it has answered. */
async function goesOn(on: Attempt): Promise<boolean> {
  const child = spawn(process.execPath, ['-e', 'console.log(1); for (;;);', on.token]);
  await once(child.stdout, 'data');
  await delay(100);
  return on.alive().length > 0;
}
