// Runs inside the guest: real cgroup v2 with all controllers, which the development machines lack.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const CODE = '/guest/package/dist/src/isolation';
const ROOT = '/sys/fs/cgroup';
const { probeCgroups } = await import(`${CODE}/cgroup-probe.js`);
const { createCallCgroup, sweepCgroups } = await import(`${CODE}/cgroup.js`);

const LIMITS = { memoryBytes: 64 * 1_048_576, processesMax: 8 };

async function check(name, body) {
  try {
    await body();
    console.log(`PASS ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error.message ?? error).replaceAll('\n', ' ')}`);
  }
}
function equal(actual, expected, what) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
}
function truthy(value, what) {
  if (!value) throw new Error(what);
}
/** Starts a shell script that waits until it is in the group. */
function start(group, script) {
  const child = spawn('sh', ['-c', `read line; ${script}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  for (const file of group.procsFiles) fs.writeFileSync(file, `${child.pid}`);
  child.stdin.end('\n');
  return child;
}
const members = (group) => fs.readFileSync(group.procsFiles[0], 'utf8').split('\n').filter(Boolean);
async function until(holds, what) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (holds()) return;
    await pause(25);
  }
  throw new Error(`never: ${what}`);
}
/** Runs code as an ordinary user whose first process is in a group. */
function asUser(group, code) {
  fs.writeFileSync('/tmp/user.mjs', code);
  const join = `echo 0 > ${group}/cgroup.procs && exec node -e '
    process.setgroups([]); process.setgid(65534); process.setuid(65534); import("/tmp/user.mjs")'`;
  const { stdout, stderr } = spawnSync('sh', ['-c', join], { encoding: 'utf8', timeout: 60_000 });
  return `${stdout.trim()}${stderr.trim()}`;
}
/** What systemd does for `Delegate=yes`. */
function delegate(name) {
  const group = `${ROOT}/${name}`;
  fs.mkdirSync(group);
  for (const file of ['', '/cgroup.procs', '/cgroup.subtree_control', '/cgroup.threads'])
    fs.chownSync(group + file, 65534, 65534);
  return group;
}
const HOG = 'node -e "const a=[];for(;;)a.push(Buffer.alloc(8e6,1))"';

const support = await probeCgroups();

await check('root finds every controller of cgroup v2', () => {
  equal(support.works, true, JSON.stringify(support));
  equal(
    support.hierarchies,
    [{ version: 2, controllers: ['memory', 'pids', 'cpu'], folder: ROOT }],
    'hierarchies',
  );
  equal(support.layers, ['cgroup-memory', 'cgroup-pids', 'cgroup-cpu', 'cgroup-kill'], 'layers');
});

await check('a group dies whole when one of it uses too much memory', async () => {
  const group = await createCallCgroup(support, LIMITS);
  equal(group.layers, support.layers, 'layers');
  const parent = start(group, `sleep 600 & ${HOG} & wait`);
  const [code, signal] = await once(parent, 'exit');
  equal([code, signal], [null, 'SIGKILL'], 'end of the parent');
  const usage = group.readUsage();
  truthy(usage.oomKills > 0, `oomKills ${usage.oomKills}`);
  truthy(
    usage.peakMemoryBytes > 40e6 && usage.peakMemoryBytes <= LIMITS.memoryBytes,
    `peak ${usage.peakMemoryBytes}`,
  );
  await until(() => members(group).length === 0, 'the group is empty');
  await group.remove();
  truthy(!fs.existsSync(group.path), 'the group is still there');
});

await check('a group refuses more processes and counts that', async () => {
  const group = await createCallCgroup(support, { ...LIMITS, processesMax: 3 }, { ownTasks: 2 });
  start(group, 'for i in $(seq 30); do sleep 600 & done; wait');
  await until(() => group.readUsage().pidsMaxEvents > 0, 'a refusal');
  truthy(members(group).length <= 5, `${members(group).length} processes`);
  await group.kill();
  await group.remove();
});

await check('a group gets no more CPU time than its bandwidth, and counts it', async () => {
  const spin = 'exec node -e "const t=Date.now();while(Date.now()-t<3000);"';
  const group = await createCallCgroup(support, LIMITS, { cpus: 0.2 });
  const began = performance.now();
  await once(start(group, spin), 'exit');
  const share = group.readUsage().cpuMs / (performance.now() - began);
  truthy(share > 0.05 && share < 0.35, `${share} of a CPU`);
  await group.remove();
});

await check('daemons, fork loops and trapped signals end with the group', async () => {
  const group = await createCallCgroup(support, { ...LIMITS, processesMax: 64 });
  start(
    group,
    `trap '' TERM INT HUP; for i in 1 2 3 4 5; do setsid sleep 600 & done; (while :; do (sleep 600 &); done) & wait`,
  );
  await until(() => members(group).length > 8, 'daemons');
  await group.kill();
  equal(members(group), [], 'members');
  await group.remove();
});

await check('groups whose tool filled its scratch leave nothing dying behind', async () => {
  const dying = () =>
    Number(/nr_dying_descendants (\d+)/.exec(fs.readFileSync(`${ROOT}/cgroup.stat`, 'utf8'))[1]);
  const scratch = 'mount -t tmpfs scratch /mnt && head -c 2000000 /dev/zero > /mnt/file';
  const before = dying();
  fs.mkdirSync('/mnt');
  for (let index = 0; index < 10; index += 1) {
    const group = await createCallCgroup(support, LIMITS);
    const [code] = await once(start(group, `unshare -m sh -c '${scratch}'`), 'exit');
    equal(code, 0, 'exit code');
    await group.remove();
  }
  await until(() => dying() - before <= 2, `at most 2 of 10 dying, ${dying() - before} are`);
});

await check(
  'an ordinary user in a delegated group moves aside and limits calls, also in bwrap',
  () => {
    const group = delegate('user');
    const output = asUser(
      group,
      `
    import fs from 'node:fs'; import { spawnSync } from 'node:child_process';
    const { probeCgroups } = await import('${CODE}/cgroup-probe.js');
    const { createCallCgroup } = await import('${CODE}/cgroup.js');
    const support = await probeCgroups();
    if (!support.works) { console.log(JSON.stringify(support.shortfall)); process.exit() }
    const group = await createCallCgroup(support, { memoryBytes: 64 * 1048576, processesMax: 32 });
    const inside = 'echo 0 > ' + group.procsFiles[0] + ' && exec bwrap --ro-bind / / --unshare-all --proc /proc --dev /dev sh -c \\'sleep 600 & ${HOG.replaceAll('"', '\\"')}\\'';
    const { signal, status, stderr } = spawnSync('sh', ['-c', inside], { encoding: 'utf8' });
    const usage = group.readUsage();
    await group.kill(); await group.remove();
    console.log(JSON.stringify([process.getuid(), fs.readFileSync('/proc/self/cgroup', 'utf8').trim(), support.hierarchies[0].folder, signal ?? status, usage.oomKills > 0, fs.existsSync(group.path)]));`,
    );
    equal(
      output,
      JSON.stringify([
        65534,
        '0::/user/enforcecore-supervisor',
        `${ROOT}/user`,
        'SIGKILL',
        true,
        false,
      ]),
      'output',
    );
  },
);

await check('a user whose group holds others is told so and stays where it was', async () => {
  const group = delegate('shared');
  const other = spawn('sleep', ['600']);
  fs.writeFileSync(`${group}/cgroup.procs`, `${other.pid}`);
  const output = asUser(
    group,
    `
    import fs from 'node:fs';
    const { probeCgroups } = await import('${CODE}/cgroup-probe.js');
    const { works, shortfall } = await probeCgroups();
    console.log(works, /EBUSY/.test(shortfall.cause), /Delegate=yes/.test(shortfall.remedy), fs.readFileSync('/proc/self/cgroup', 'utf8').trim(), fs.readdirSync('${group}').filter((name) => name.startsWith('enforcecore')).length);`,
  );
  other.kill('SIGKILL');
  equal(output, 'false true true 0::/shared 0', 'output');
});

await check('a user without delegation is told so', () => {
  fs.mkdirSync(`${ROOT}/foreign`);
  const output = asUser(
    `${ROOT}/foreign`,
    `
    const { probeCgroups } = await import('${CODE}/cgroup-probe.js');
    const { works, shortfall } = await probeCgroups();
    console.log(works, /EACCES/.test(shortfall.cause));`,
  );
  equal(output, 'false true', 'output');
});

await check('groups of a supervisor that was killed are swept with what runs in them', async () => {
  const code = `
    const { probeCgroups } = await import('${CODE}/cgroup-probe.js');
    const { createCallCgroup } = await import('${CODE}/cgroup.js');
    const { spawn } = await import('node:child_process'); const fs = await import('node:fs');
    const group = await createCallCgroup(await probeCgroups(), { memoryBytes: 1e8, processesMax: 8 });
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    fs.writeFileSync(group.procsFiles[0], String(child.pid));
    console.log(JSON.stringify([group.path, child.pid])); process.kill(process.pid, 'SIGKILL')`;
  const { stdout } = spawnSync('node', ['--input-type=module', '-e', code], { encoding: 'utf8' });
  const [path, pid] = JSON.parse(stdout);
  truthy(fs.existsSync(`/proc/${pid}`), 'the orphan does not run');
  equal(await sweepCgroups(support.hierarchies), [path.slice(ROOT.length + 1)], 'swept');
  await until(() => !fs.existsSync(`/proc/${pid}`), 'the orphan is gone');
});
