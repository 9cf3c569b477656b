import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HostTiers } from '../../src/isolation/host-tiers.ts';
import { openHostTiers } from '../../src/isolation/host-tiers.ts';
import type { Job, Runner } from '../../src/isolation/runner.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { eventually, isRunning } from '../fixtures/observe.ts';
import { prepareFor, runPrepared } from '../fixtures/prepared.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

const BOUNDS = { workersMax: 4, memoryMbMax: 1024, idleMs: 60_000 };

const opened: HostTiers[] = [];
async function openTiers(
  bounds = BOUNDS,
): Promise<HostTiers & { pool: NonNullable<HostTiers['pool']> }> {
  const tiers = await openHostTiers([], bounds);
  opened.push(tiers);
  if (tiers.pool === null) throw new Error('no pool');
  return { ...tiers, pool: tiers.pool };
}
async function closeAll(): Promise<void> {
  for (const { runners } of opened.splice(0)) for (const runner of runners) await runner.close();
}
afterEach(closeAll);

/** What this process has made on the host for its workers. */
function madeByUs(): { pids: number[]; scratch: string[]; groups: string[]; ids: string[] } {
  const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
  return {
    pids: childrenOf(process.pid),
    scratch: list(tmpdir()).filter((name) => name.startsWith(`enforcecore-${process.pid}-`)),
    groups: groupRoots().flatMap((root) =>
      list(root).filter((name) => new RegExp(`^enforcecore-\\d+-${process.pid}-`).test(name)),
    ),
    // Root's alone: an ordinary user has no ids, and may not look.
    ids: (process.getuid?.() === 0 ? list('/run/enforcecore-ids') : []).filter((name) =>
      readFileSync(join('/run/enforcecore-ids', name), 'utf8').includes(` ${process.pid} `),
    ),
  };
}
const NOTHING = { pids: [], scratch: [], groups: [], ids: [] };

function groupRoots(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .flatMap((point) => [point, ...ownGroups().map((path) => join(point, path))]);
}
function ownGroups(): string[] {
  return readFileSync('/proc/self/cgroup', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':').slice(2).join(':'))
    .filter((path) => path !== '/');
}

/** Live processes below one, vitest's own left out by what they are. */
function childrenOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid && isRunning(each));
  return children.flatMap((each) => [each, ...childrenOf(each)]);
}
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1;
  }
}

function withReuse(job: Job, reuse: number): Job {
  const { confinement } = job;
  // Without a control group a worker that may start processes is not kept.
  const isolation = { ...confinement.isolation, reuse, exec: 'none' } as const;
  return {
    ...job,
    confinement: { ...confinement, isolation },
  };
}

function mayExecute(job: Job): Job {
  const { confinement } = job;
  const filesystem = { ...confinement.filesystem, execute: ['/usr/bin'] };
  const isolation = { ...confinement.isolation, exec: 'any' } as const;
  return { ...job, confinement: { ...confinement, filesystem, isolation } };
}

const { runners: here, shortfalls } = await openHostTiers([]);

describe.each(['isolated', 'hardened', 'process'] as const)('%s: a prepared worker', (tier) => {
  if (!here.some((candidate) => candidate.tier === tier)) {
    requireLayer(tier === 'isolated' ? 'bwrap' : tier);
    test.skip(`does not work on this host: ${JSON.stringify(shortfalls)}`, () => {});
    return;
  }
  const open = async (bounds = BOUNDS) => {
    const tiers = await openTiers(bounds);
    const runner = tiers.runners.find((candidate) => candidate.tier === tier) as Runner;
    return { runner, pool: tiers.pool };
  };

  test('shows its tool nothing of the call before', async () => {
    const { runner, pool } = await open();
    const first = await runner.run(await makeJob(tool('leave-traces.mjs'), { secret: 'first' }));
    await eventually(() => pool.readyCount === 1, 30_000);
    const running = runner.run(await makeJob(tool('leave-traces.mjs'), { secret: 'second' }));
    expect(pool.readyCount).toBe(0);
    const second = await running;
    expect(second.end.status).toBe('ok');
    expect(second.end).toEqual(first.end);
    expect(second.end).toMatchObject({ value: { calls: 0, files: [], prototype: null } });
    expect(second.layers).toEqual(first.layers);
  });

  test('is used for one call, and its process is gone afterwards', async () => {
    const { runner, pool } = await open();
    const job = await makeJob(tool('linger.mjs'));
    const seen = new Set<number>();
    for (let call = 0; call < 3; call += 1) {
      await prepareFor(runner, pool, job);
      const before = childrenOf(process.pid);
      const { end } = await runner.run({ ...job, callId: `call-${call}` });
      expect(end).toMatchObject({ status: 'ok', value: { calls: 1 } });
      for (const pid of before) {
        expect(seen.has(pid)).toBe(false);
        seen.add(pid);
      }
      // Among our children may be one that only helps to start the next worker.
      await eventually(() => !before.some(isRunning), 10_000);
      await pool.clear();
    }
  });

  test('that was killed from outside is replaced, and never used', async () => {
    const { runner, pool } = await open();
    const job = await makeJob(tool('add.mjs'), { a: 1, b: 2 });
    await prepareFor(runner, pool, job);
    const killed = childrenOf(process.pid);
    process.kill(killed.at(-1) ?? 0, 'SIGKILL');
    await eventually(() => killed.every((pid) => !isRunning(pid)));
    expect((await runner.run(job)).end).toEqual({ status: 'ok', value: 3 });
    await eventually(() => pool.readyCount === 1, 30_000);
    expect((await runner.run(job)).end).toEqual({ status: 'ok', value: 3 });
  });

  test('has the environment of now, not of its start', async () => {
    const { runner, pool } = await open();
    const base = await makeJob(tool('read-environment.mjs'));
    const environment = { pass: ['ENFORCECORE_TEST_PASSED'], set: {} };
    const job = { ...base, confinement: { ...base.confinement, environment } };
    process.env['ENFORCECORE_TEST_PASSED'] = 'old';
    await prepareFor(runner, pool, job);
    process.env['ENFORCECORE_TEST_PASSED'] = 'new';
    const { end } = await runner.run(job);
    delete process.env['ENFORCECORE_TEST_PASSED'];
    expect(end).toMatchObject({ value: { ENFORCECORE_TEST_PASSED: 'new' } });
  });

  test('never has the environment of another call, whenever it was started', async () => {
    const { runner, pool } = await open();
    const base = await makeJob(tool('read-environment.mjs'));
    const environment = { pass: ['ENFORCECORE_TEST_PASSED'], set: {} };
    const job = { ...base, confinement: { ...base.confinement, environment } };
    const seen: unknown[] = [];
    for (let call = 0; call < 4; call += 1) {
      process.env['ENFORCECORE_TEST_PASSED'] = 'mine';
      const running = runner.run({ ...job, callId: randomUUID() });
      // What the program does next, for somebody else.
      process.env['ENFORCECORE_TEST_PASSED'] = 'theirs';
      seen.push((await running).end);
      await eventually(() => pool.readyCount === 1, 30_000);
    }
    delete process.env['ENFORCECORE_TEST_PASSED'];
    for (const end of seen)
      expect(end).toMatchObject({ value: { ENFORCECORE_TEST_PASSED: 'mine' } });
  });

  test('is charged with the wall clock of its call from admission on', async () => {
    const { runner, pool } = await open();
    const job = await makeJob(tool('never-settles.mjs'));
    const { end } = await runPrepared(runner, pool, { ...job, remainingMs: 100 });
    expect(end).toMatchObject({ status: 'timeout' });
  });

  test('does not let its start count as the CPU time of a call', async () => {
    const { runner, pool } = await open();
    const cold = await runner.run(await makeJob(tool('add.mjs'), { a: 1, b: 2 }));
    const warm = await runPrepared(runner, pool, await makeJob(tool('add.mjs'), { a: 1, b: 2 }));
    // A short call of the sampled kind is over before the first look.
    if (cold.cpuMs > 0) expect(warm.cpuMs).toBeLessThan(cold.cpuMs / 2);
  });

  test('leaves nothing on the host when the runner is closed, nor do those being started', async () => {
    const { runner, pool } = await open();
    await pool.clear();
    const before = madeByUs();
    expect(before).toEqual(NOTHING);
    for (const file of ['add.mjs', 'linger.mjs']) {
      await prepareFor(runner, pool, await makeJob(tool(file)));
    }
    expect(madeByUs().pids.length).toBeGreaterThanOrEqual(2);
    // A third is on its way.
    const stop = AbortSignal.abort({ status: 'killed', message: 'x' });
    await runner.run({ ...(await makeJob(tool('echo-args.mjs'))), stop });
    await runner.close();
    expect(madeByUs()).toEqual(NOTHING);
    expect(pool.readyCount).toBe(0);
  });

  test('is not what a call waits for that is stopped meanwhile', async () => {
    const { runner, pool } = await open();
    const job = await makeJob(tool('never-settles.mjs'));
    await prepareFor(runner, pool, job);
    const running = runner.run(job);
    job.halt({ status: 'killed', message: 'stop' });
    expect((await running).end).toMatchObject({ status: 'killed' });
    expect(pool.readyCount).toBe(0);
  });

  test('is not prepared for a command, which runs from its start', async () => {
    const { runner, pool } = await open();
    const job = await makeJob({ command: ['/bin/echo', 'once'] });
    expect((await runner.run(job)).end).toEqual({ status: 'ok', value: 'once' });
    expect((await runner.run({ ...job, callId: 'b' })).end).toEqual({
      status: 'ok',
      value: 'once',
    });
    await pool.clear();
    expect(madeByUs()).toEqual(NOTHING);
  });

  test('is there for every call of a burst that had one before, and no two share one', async () => {
    const { runner, pool } = await open();
    const burst = () =>
      Promise.all(
        Array.from({ length: 3 }, async (_, n) =>
          runner.run(await makeJob(tool('add.mjs'), { a: n, b: 10 })),
        ),
      );
    await burst();
    await eventually(() => pool.readyCount === 3, 30_000);
    const ends = (await burst()).map(({ end }) => end);
    expect(ends).toEqual([10, 11, 12].map((value) => ({ status: 'ok', value })));
  });

  test('does not pile up: calls leave as little as one', async () => {
    const { runner, pool } = await open();
    const job = await makeJob(tool('add.mjs'), { a: 1, b: 1 });
    const calls = process.env['ENFORCECORE_TEST_SLOW'] === '1' ? 200 : 20;
    await runner.run(job);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    await eventually(() => pool.readyCount === 1, 30_000);
    const before = descriptors();
    for (let call = 0; call < calls; call += 1) {
      const { end } = await runner.run({ ...job, callId: `call-${call}` });
      expect(end).toEqual({ status: 'ok', value: 2 });
    }
    await eventually(() => pool.readyCount === 1, 30_000);
    expect(madeByUs().scratch.length).toBe(1);
    expect(descriptors() - before).toBeLessThan(12);
    await pool.clear();
    expect(madeByUs()).toEqual(NOTHING);
  }, 300_000);

  describe('with `isolation.reuse`', () => {
    const pidOf = async (runner: Runner, job: Job) => {
      const { end, layers } = await runner.run(job);
      expect(end.status).toBe('ok');
      const { pid, calls } = (end as { value: { pid: number; calls: number } }).value;
      return { pid, calls, isReused: layers.includes('worker-reused') };
    };

    test('serves so many calls, one after another, and says so', async () => {
      const { runner } = await open();
      const job = withReuse(await makeJob(tool('linger.mjs')), 3);
      const served = [];
      for (let call = 0; call < 4; call += 1)
        served.push(await pidOf(runner, { ...job, callId: `call-${call}` }));
      expect(served.map(({ calls }) => calls)).toEqual([1, 2, 3, 1]);
      expect(served.map(({ isReused }) => isReused)).toEqual([false, true, true, false]);
      if (tier !== 'isolated') expect(new Set(served.map(({ pid }) => pid)).size).toBe(2);
    });

    test('never serves two calls at once', async () => {
      const { runner } = await open();
      const job = withReuse(await makeJob(tool('linger.mjs')), 10);
      const served = await Promise.all(
        ['a', 'b', 'c'].map((callId) => pidOf(runner, { ...job, callId })),
      );
      expect(served.map(({ calls }) => calls)).toEqual([1, 1, 1]);
    });

    test('goes on after an error of the tool', async () => {
      const { runner } = await open();
      const job = withReuse(await makeJob(tool('linger.mjs'), { how: 'throws' }), 10);
      expect((await runner.run(job)).end).toMatchObject({ status: 'tool-error' });
      const again = await pidOf(runner, { ...job, callId: 'b', argsJson: '{}' });
      expect(again).toMatchObject({ calls: 2, isReused: true });
    });

    test.each([
      'exits',
      'prints',
      'speaks',
      'speaks in part',
      'starts a process',
      'starts a daemon',
    ])('is thrown away when the tool %s after its call', async (how) => {
      const { runner, pool } = await open();
      const job = mayExecute(withReuse(await makeJob(tool('linger.mjs'), { how }), 10));
      const { end } = await runner.run(job);
      // What comes between the result and the end of its call is that call's own fault.
      expect(['ok', 'protocol-violation']).toContain(end.status);
      // A daemon that nobody saw beside its parent is out of reach of the weakest tier.
      if (how === 'starts a daemon' && tier === 'process') return pool.clear();
      const { scratch = '' } = end.status === 'ok' ? (end.value as { scratch: string }) : {};
      // A part of a message tells nobody of itself: it is found at the worker's next turn.
      if (how !== 'speaks in part') await eventually(() => !existsSync(scratch));
      const next = await runner.run({ ...job, callId: 'next', argsJson: '{}' });
      // A part that comes when the next call has begun breaks that one: nothing of it is believed.
      if (how === 'speaks in part' && next.end.status === 'protocol-violation') return;
      expect(next.end).toMatchObject({ status: 'ok', value: { calls: 1 } });
      expect(next.stdout).toBe('');
    });

    test('keeps output and results of calls apart', async () => {
      const { runner } = await open();
      const job = withReuse(await makeJob(tool('print-lines.mjs')), 10);
      for (const out of ['one', 'two', 'x'.repeat(300_000)]) {
        const report = await runner.run({
          ...job,
          callId: `call-${out.length}-${out[0]}`,
          argsJson: JSON.stringify({ out, err: `${out[0]}!` }),
        });
        expect(report.stdout).toBe(`${out}\n`);
        expect(report.stderr).toBe(`${out[0]}!\n`);
      }
    });

    test('ends with a call that was ended from here', async () => {
      const { runner } = await open();
      const job = withReuse(await makeJob(tool('never-settles.mjs'), {}, { wallMs: 200 }), 10);
      for (const callId of ['a', 'b']) {
        const { end, layers } = await runner.run({ ...job, callId });
        expect(end.status).toBe('timeout');
        expect(layers).not.toContain('worker-reused');
      }
    });
  });
});

test.each([
  ['forgets to close its enforcer', 'await ready();'],
  ['forgets it while a worker is being started', ''],
  ['closes it while a worker is being started', 'await enforcer.close();'],
  ['closes it when a worker is ready', 'await ready(); await enforcer.close();'],
])('a program that %s ends, and leaves nothing', (_what, last) => {
  const root = mkdtempSync(join(tmpdir(), 'forgetful-'));
  chmodSync(root, 0o755);
  const script = `
    import { readdirSync } from 'node:fs';
    import { setTimeout as delay } from 'node:timers/promises';
    const { createEnforcer } = await import(${JSON.stringify(`${process.cwd()}/dist/src/index.js`)});
    const enforcer = await createEnforcer({ audit: false });
    const { status } = await enforcer.run(${JSON.stringify(tool('add.mjs'))}, { a: 1, b: 2 });
    const folders = () => readdirSync(process.env.TMPDIR).filter((name) => name.startsWith('enforcecore-'));
    // The worker for a second call that never comes.
    const ready = async () => {
      for (const until = Date.now() + 20_000; folders().length === 0 && Date.now() < until; ) await delay(5);
      if (folders().length !== 1) throw new Error('no worker was prepared');
    };
    console.log(status);
    ${last}`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, TMPDIR: root },
    encoding: 'utf8',
    timeout: 60_000,
  });
  const { stdout, stderr, status } = ended;
  expect({ stdout, stderr, status }).toEqual({ stdout: 'ok\n', stderr: '', status: 0 });
  expect(readdirSync(root)).toEqual([]);
  rmSync(root, { recursive: true });
});

describe.skipIf(!here.some(({ tier }) => tier === 'isolated'))('what changed since', () => {
  let folder: string;
  let file: string;
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'prepared-test-')));
    chmodSync(folder, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** A package whose tool reads one of its files, or says why not. */
  function makePackage(name: string): string {
    const root = join(folder, name);
    mkdirSync(join(root, 'node_modules', 'dependency'), { recursive: true });
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(join(root, 'node_modules', 'dependency', 'package.json'), '{"main":"index.js"}');
    writeFileSync(join(root, 'node_modules', 'dependency', 'index.js'), 'module.exports = 1;');
    file = join(root, 'tool.js');
    writeFileSync(
      file,
      `import { readFileSync } from 'node:fs';
       export default async ({ path }) => {
         if (path === undefined) return (await import('dependency')).default;
         try { return readFileSync(path, 'utf8'); } catch (error) { return error.code; }
       };`,
    );
    return root;
  }

  async function prepared(tier: 'isolated' | 'hardened', args: unknown) {
    const { runners, pool } = await openTiers();
    const runner = runners.find((candidate) => candidate.tier === tier) as Runner;
    const job = await makeJob(file, args);
    await prepareFor(runner, pool, job);
    return { runner, job, pool };
  }

  test.each(['isolated', 'hardened'] as const)(
    'a secret that came into the package is not readable: %s',
    async (tier) => {
      const root = makePackage(`secret-${tier}`);
      const path = join(root, '.env');
      const { runner, job } = await prepared(tier, { path });
      writeFileSync(path, 'token');
      const { end } = await runner.run(job);
      expect(end).not.toMatchObject({ value: 'token' });
    },
  );

  test.each(['isolated', 'hardened'] as const)(
    'packages that were installed anew are the new ones: %s',
    async (tier) => {
      const root = makePackage(`modules-${tier}`);
      const { runner, job } = await prepared(tier, {});
      renameSync(join(root, 'node_modules'), join(root, 'was'));
      mkdirSync(join(root, 'node_modules', 'dependency'), { recursive: true });
      writeFileSync(join(root, 'node_modules', 'dependency', 'package.json'), '{"main":"i.js"}');
      writeFileSync(join(root, 'node_modules', 'dependency', 'i.js'), 'module.exports = 2;');
      rmSync(join(root, 'was'), { recursive: true });
      expect((await runner.run(job)).end).toEqual({ status: 'ok', value: 2 });
    },
  );

  test('a tool that was replaced does not run, prepared or not', async () => {
    makePackage('replaced');
    const { runner, job } = await prepared('isolated', {});
    writeFileSync(file, 'export default () => "other"');
    expect((await runner.run(job)).end).toMatchObject({ code: 'ENF_TOOL_LOAD' });
  });

  test('what did not change does not keep a worker from being used', async () => {
    makePackage('same');
    const { runner, job, pool } = await prepared('isolated', {});
    const running = runner.run(job);
    expect(pool.readyCount).toBe(0);
    const before = childrenOf(process.pid).length;
    expect((await running).end).toEqual({ status: 'ok', value: 1 });
    expect(before).toBeGreaterThan(0);
  });
});
