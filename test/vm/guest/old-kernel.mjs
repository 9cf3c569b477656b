// Runs inside the guest: Linux 6.1 has Landlock ABI 2, no signal scopes and no truncate rights, so
// what newer kernels stop by Landlock must be stopped by the system call filter here.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

const attempt = (code) =>
  `import fs from 'node:fs'; export default () => { try { ${code}; return 'done' } catch (e) { return e.code } }`;
const TOOLS = {
  sum: 'export default ({ a, b }) => a + b',
  kill: attempt('process.kill(-1, "SIGKILL")'),
  truncate: attempt('fs.truncateSync("/tmp/secret")'),
  chmod: attempt('fs.chmodSync("/tmp/secret", 0o666)'),
};
fs.mkdirSync('/srv/tools', { recursive: true });
for (const [name, code] of Object.entries(TOOLS)) fs.writeFileSync(`/srv/tools/${name}.mjs`, code);

function check(name, actual, expected) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  console.log(a === e ? `PASS ${name}` : `FAIL ${name}: expected ${e}, got ${a}`);
}

/** Calls by one supervisor, root or an ordinary user: what each ended with, by tier and tool. */
function callAll(isRoot, tools) {
  const code = `
    const { runIsolated } = await import('/guest/package/dist/src/index.js');
    const results = {};
    for (const level of ['hardened', 'isolated'])
      for (const tool of ${JSON.stringify(tools)}) {
        const policy = { name: 'vm', isolation: { level } };
        const outcome = await runIsolated('/srv/tools/' + tool + '.mjs', { a: 1, b: 2 }, { policy, audit: false });
        results[level + ' ' + tool] = outcome.value ?? outcome.status + ' ' + outcome.error?.message;
      }
    console.log(JSON.stringify(results));
    process.exit();`;
  fs.writeFileSync('/tmp/calls.mjs', code);
  const drop = isRoot ? '' : 'process.setgroups([]); process.setgid(65534); process.setuid(65534);';
  const run = spawnSync('node', ['-e', `${drop} import('/tmp/calls.mjs')`], {
    encoding: 'utf8',
    timeout: 100_000,
    env: { HOME: '/tmp', PATH: '/usr/bin:/bin' },
  });
  return run.stdout.startsWith('{')
    ? JSON.parse(run.stdout)
    : { failed: `${run.signal} ${run.stdout}${run.stderr}`.slice(0, 300) };
}

check('a root supervisor runs a tool at both tiers', callAll(true, ['sum']), {
  'hardened sum': 3,
  'isolated sum': 3,
});

fs.writeFileSync('/tmp/secret', 'secret', { mode: 0o600 });
fs.chownSync('/tmp/secret', 65534, 65534);
const bystander = spawn('sleep', ['600'], { uid: 65534, gid: 65534 });
const results = callAll(false, ['sum', 'kill', 'truncate', 'chmod']);
check('an ordinary user’s supervisor holds a tool that signals and changes files', results, {
  'hardened sum': 3,
  'hardened kill': 'EPERM',
  // Node opens the file first, which Landlock refuses.
  'hardened truncate': 'EACCES',
  'hardened chmod': 'EPERM',
  'isolated sum': 3,
  'isolated kill': 'ESRCH',
  'isolated truncate': 'ENOENT',
  'isolated chmod': 'ENOENT',
});
check(
  'nothing outside was touched',
  [
    bystander.exitCode,
    bystander.signalCode,
    fs.readFileSync('/tmp/secret', 'utf8'),
    fs.statSync('/tmp/secret').mode & 0o777,
  ],
  [null, null, 'secret', 0o600],
);
bystander.kill('SIGKILL');

// Positive control: unconfined, the same user does all of it.
const unconfined = spawn('sleep', ['600'], { uid: 65534, gid: 65534 });
const attack =
  'fs.truncateSync("/tmp/secret"); fs.chmodSync("/tmp/secret", 0o666); process.kill(-1, "SIGKILL")';
const control = spawnSync('node', ['-e', attack], { uid: 65534, gid: 65534 });
await new Promise((resolve) => unconfined.once('exit', resolve));
check(
  'unconfined, the same attacks succeed',
  [
    unconfined.signalCode,
    control.status,
    fs.statSync('/tmp/secret').size,
    fs.statSync('/tmp/secret').mode & 0o777,
  ],
  ['SIGKILL', 0, 0, 0o666],
);
