import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Limits } from '../../src/call.ts';
import { createCallCgroup, sweepCgroups } from '../../src/isolation/cgroup.ts';
import type { CallCgroup } from '../../src/isolation/cgroup-call.ts';
import { probeCgroups } from '../../src/isolation/cgroup-probe.ts';
import { isRoot, lacks, ordinaryUser } from './host-layers.ts';

const support = await probeCgroups();
const skip = lacks('cgroup', support.works);
const LIMITS: Limits = {
  wallMs: 10_000,
  cpuMs: 10_000,
  memoryBytes: 64 * 1_048_576,
  processesMax: 8,
  openFilesMax: 64,
  fileSizeBytes: 1 << 20,
  diskBytes: 1 << 20,
  inputBytes: 1 << 20,
  argumentDepthMax: 8,
  outputBytes: 1 << 20,
};

describe.skipIf(skip)('a control group of this host', () => {
  const groups: CallCgroup[] = [];
  afterEach(async () => {
    for (const group of groups.splice(0)) {
      await group.kill();
      await group.remove();
    }
  });

  async function create(
    limits: Partial<Limits> = {},
    options: Parameters<typeof createCallCgroup>[2] = {},
  ): Promise<CallCgroup> {
    const group = await createCallCgroup(support, { ...LIMITS, ...limits }, options);
    groups.push(group);
    return group;
  }
  /** Starts a shell script that waits until it is in the group, as the launcher does. */
  function start(group: CallCgroup | null, script: string): ChildProcess {
    const child = spawn('sh', ['-c', `read line; ${script}`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    for (const file of group?.procsFiles ?? []) writeFileSync(file, `${child.pid}`);
    child.stdin?.end('\n');
    return child;
  }
  const node = (code: string) => `exec '${process.execPath}' -e '${code}'`;
  const membersOf = (group: CallCgroup) =>
    group.procsFiles.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean));

  test('kills what uses more memory than it has, says so, and counts its peak', async () => {
    const hog = node('const a=[]; while (a.length<25) a.push(Buffer.alloc(8e6, 1));');
    const control = start(null, hog);
    expect(await once(control, 'exit')).toEqual([0, null]);
    const group = await create();
    const child = start(group, hog);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    const { oomKills, peakMemoryBytes } = group.readUsage();
    expect(oomKills).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(50 * 1_048_576);
    expect(peakMemoryBytes).toBeLessThanOrEqual(64 * 1_048_576);
  });

  test('refuses more processes than it may have, and counts the refusals', async () => {
    const bomb = 'for i in $(seq 40); do sleep 30 & done; wait';
    const group = await create({ processesMax: 4 }, { ownTasks: 2 });
    start(group, bomb);
    await expect.poll(() => group.readUsage().pidsMaxEvents, { timeout: 5000 }).toBeGreaterThan(0);
    expect(new Set(membersOf(group)).size).toBeLessThanOrEqual(6);
  });

  test('counts CPU time of everything in it, also of processes that ended', async () => {
    const group = await create();
    await once(start(group, node('while (process.cpuUsage().user < 6e5);')), 'exit');
    const first = group.readUsage().cpuMs;
    expect(first).toBeGreaterThanOrEqual(600);
    await once(start(group, node('while (process.cpuUsage().user < 3e5);')), 'exit');
    expect(group.readUsage().cpuMs - first).toBeGreaterThanOrEqual(300);
  });

  test('gives no more CPU time than its bandwidth', async () => {
    const spin = node('const t=Date.now();while(Date.now()-t<1000);');
    const group = await create({}, { cpus: 0.2 });
    const began = performance.now();
    await once(start(group, spin), 'exit');
    const share = group.readUsage().cpuMs / (performance.now() - began);
    expect(share).toBeGreaterThan(0.02);
    expect(share).toBeLessThan(0.35);
  });

  test('dies whole: daemons with sessions of their own, a fork loop, trapped signals', async () => {
    const group = await create({ processesMax: 64 });
    start(
      group,
      `trap '' TERM INT HUP; for i in 1 2 3 4 5; do setsid sleep 7171 & done;
       (while :; do (sleep 7171 &) ; sleep 0.01; done) & echo ready; wait`,
    ).stdout?.resume();
    await expect.poll(() => new Set(membersOf(group)).size, { timeout: 5000 }).toBeGreaterThan(8);
    const pids = membersOf(group);
    await group.kill();
    expect(membersOf(group)).toEqual([]);
    const alive = pids.filter((pid) => {
      const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
      return stat !== '' && !/\) [ZX] /.test(stat);
    });
    expect(alive).toEqual([]);
  });

  test('is killed without `cgroup.kill` too', async () => {
    const v1 = {
      ...support,
      hierarchies: support.hierarchies.filter(({ version }) => version === 1),
    };
    if (v1.hierarchies.length === 0) return;
    const group = await createCallCgroup(v1, { ...LIMITS, processesMax: 64 });
    groups.push(group);
    start(group, '(while :; do (setsid sleep 7272 &) ; done) & wait');
    await expect.poll(() => new Set(membersOf(group)).size, { timeout: 5000 }).toBeGreaterThan(8);
    await group.kill();
    expect(membersOf(group)).toEqual([]);
  });

  test('kills also a process that is in one of its trees only', async () => {
    const group = await create();
    const [first = ''] = group.procsFiles;
    const child = spawn('sleep', ['7474'], { stdio: 'ignore' });
    writeFileSync(first, `${child.pid}`);
    const ended = once(child, 'exit');
    await group.kill();
    expect(await ended).toEqual([null, 'SIGKILL']);
  });

  test('that is gone already has used nothing and can be killed and removed again', async () => {
    const group = await create();
    await group.remove();
    expect(group.readUsage()).toEqual({
      cpuMs: 0,
      memoryBytes: 0,
      peakMemoryBytes: 0,
      oomKills: 0,
      pidsMaxEvents: 0,
    });
    await group.kill();
    await group.remove();
  });

  test('cannot be removed while something runs in it, and says so', async () => {
    const group = await create();
    const child = spawn('sleep', ['7575'], { stdio: 'ignore' });
    for (const file of group.procsFiles) writeFileSync(file, `${child.pid}`);
    await expect(group.remove()).rejects.toThrow('EBUSY');
  });

  test('names are its own among fifty made at once, and nothing is left of them', async () => {
    const made = await Promise.all(Array.from({ length: 50 }, () => create()));
    expect(new Set(made.map(({ path }) => path)).size).toBe(50);
    for (const group of made) await group.remove();
    for (const group of made)
      for (const file of group.procsFiles) expect(existsSync(dirname(file))).toBe(false);
  });

  test('leaves no dying group behind, although the tool wrote files', async () => {
    const count = () =>
      Number(/^memory\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/cgroups', 'utf8'))?.[1] ?? 0);
    const folder = mkdtempSync(join(tmpdir(), 'group-'));
    const round = async (index: number) => {
      const group = await createCallCgroup(support, LIMITS);
      await once(start(group, `head -c 3000000 /dev/zero > '${folder}/${index}'`), 'exit');
      await group.kill();
      await group.remove();
    };
    await round(0);
    const before = count();
    for (let index = 1; index <= 20; index += 1) await round(index);
    rmSync(folder, { recursive: true });
    // Others on this machine make groups too; one per call would be 20.
    expect(count() - before).toBeLessThan(10);
  });

  test('of a supervisor that was killed is swept at the next start, with what runs in it', async () => {
    const script = `
      import { probeCgroups } from '${resolve('dist/src/isolation/cgroup-probe.js')}';
      import { createCallCgroup } from '${resolve('dist/src/isolation/cgroup.js')}';
      import { spawn } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      const group = await createCallCgroup(await probeCgroups(), ${JSON.stringify(LIMITS)});
      const child = spawn('sleep', ['7373'], { detached: true, stdio: 'ignore' });
      for (const file of group.procsFiles) writeFileSync(file, String(child.pid));
      console.log(JSON.stringify({ path: group.path, pid: child.pid }));
      process.kill(process.pid, 'SIGKILL');`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    const { path, pid } = JSON.parse(stdout) as { path: string; pid: number };
    const runs = () =>
      existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    expect([existsSync(path), runs()]).toEqual([true, true]);
    const mine = await create();
    expect(await sweepCgroups(support.hierarchies)).toContain(basename(path));
    expect([existsSync(path), runs(), existsSync(mine.path)]).toEqual([false, false, true]);
  });

  test('that the kernel refuses is not left half made', async () => {
    const names = () => support.hierarchies.flatMap(({ folder }) => readdirSync(folder)).sort();
    const before = names();
    await expect(create({ processesMax: -100 })).rejects.toMatchObject({
      code: 'ENF_ISOLATION_UNAVAILABLE',
    });
    expect(names()).toEqual(before);
  });

  test('removes groups that were made inside of it', async () => {
    const group = await create();
    const inner = join(group.path, 'inner');
    spawnSync('mkdir', [inner]);
    await group.remove();
    expect(existsSync(group.path)).toBe(false);
  });
});

test('a host without groups refuses a call that needs one', async () => {
  const none = {
    works: false,
    hierarchies: [],
    layers: [],
    shortfall: { cause: 'c', remedy: 'r' },
  };
  await expect(createCallCgroup(none, LIMITS)).rejects.toMatchObject({
    code: 'ENF_ISOLATION_UNAVAILABLE',
    details: { cause: 'c', remedy: 'r' },
  });
});

test.skipIf(lacks('root', isRoot))(
  'an ordinary user without delegation is told why, and leaves nothing',
  () => {
    const script = `import { probeCgroups } from '${resolve('dist/src/isolation/cgroup-probe.js')}';
    console.log(JSON.stringify(await probeCgroups()))`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      ...ordinaryUser,
      encoding: 'utf8',
    });
    expect(JSON.parse(stdout)).toMatchObject({
      works: false,
      shortfall: { cause: expect.stringContaining('EACCES'), remedy: expect.any(String) },
    });
  },
);
