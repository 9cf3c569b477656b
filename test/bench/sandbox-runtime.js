// What a sandbox adds to `true`: @anthropic-ai/sandbox-runtime against ours, library to library, in
// one process. It needs a newer Node than we do, so both run on that one. Package, Node, bubblewrap,
// socat and ripgrep have to be there; nothing is measured where they are not.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { median, report } from './rows.js';

const PACKAGES = ['@anthropic-ai/sandbox-runtime@0.0.83', 'node@24.21.0'];
const ROUNDS = 25;
const WARM_UP = 3;

const [, , installed] = process.argv;
if (installed === undefined) installAndRestart();
else await measure(installed);

function installAndRestart() {
  const folder = mkdtempSync(join(tmpdir(), 'bench-runtime-'));
  const install = spawnSync('npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    ...PACKAGES,
  ]);
  const missing = ['bwrap', 'socat', 'rg'].filter((name) => spawnSync(name, ['--version']).error);
  if (install.status !== 0) console.log('not measured: the packages cannot be installed');
  else if (missing.length > 0) console.log(`not measured: ${missing.join(', ')} not installed`);
  else {
    const node = join(folder, 'node_modules/node/bin/node');
    const { status } = spawnSync(node, [new URL(import.meta.url).pathname, folder], {
      stdio: 'inherit',
    });
    process.exitCode = status ?? 1;
  }
  rmSync(folder, { recursive: true });
}

async function measure(folder) {
  const require = createRequire(join(folder, 'package.json'));
  const main = require.resolve('@anthropic-ai/sandbox-runtime');
  const { SandboxManager } = await import(pathToFileURL(main).href);
  const { createEnforcer } = await import('../../dist/src/index.js');
  const cwd = mkdtempSync(join(tmpdir(), 'bench-runtime-cwd-'));
  process.chdir(cwd);
  await SandboxManager.initialize({
    network: { allowedDomains: [], deniedDomains: [] },
    filesystem: { denyRead: [], allowWrite: ['.'], denyWrite: [] },
  });
  const enforcer = await createEnforcer({
    policy: { name: 'bench', isolation: { level: 'isolated' } },
    audit: { path: join(cwd, 'audit') },
  });
  const sides = {
    bare: () => ended(spawn('/usr/bin/true', { stdio: 'ignore' })),
    theirs: async () => {
      const command = await SandboxManager.wrapWithSandbox('true');
      await ended(spawn(command, { shell: true, stdio: 'ignore' }));
    },
    ours: async () => {
      const { status, error } = await enforcer.run({ command: ['/usr/bin/true'] });
      if (status !== 'ok') throw new Error(`${status}: ${error.message}`);
    },
  };
  const times = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    for (const [name, side] of Object.entries(sides)) {
      const began = performance.now();
      await side();
      if (round >= WARM_UP) times[name].push(performance.now() - began);
    }
  }
  const [bare, theirs, ours] = ['bare', 'theirs', 'ours'].map((name) => median(times[name]));
  report([
    {
      what: 'what a sandbox adds to `true`: @anthropic-ai/sandbox-runtime 0.0.83 against ours',
      value: (theirs - bare) / (ours - bare),
      unit: 'x',
      target: 5,
      bound: 'min',
      detail: `bare ${bare.toFixed(1)} ms, theirs ${theirs.toFixed(1)} ms, ours ${ours.toFixed(1)} ms with policy, limits and audit, which theirs has not; Node ${process.version.slice(1)}`,
      doesNotShow: 'a command that runs for long: both add to the start only',
    },
  ]);
  await enforcer.close();
  await SandboxManager.reset();
  process.chdir('/');
  rmSync(cwd, { recursive: true, force: true });
  process.exit();
}

function ended(child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`ended with ${code}`))));
  });
}
