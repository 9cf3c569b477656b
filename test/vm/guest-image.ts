import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

/** What QEMU boots. */
export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
}

const PACKAGE = 'linux-image-cloud-amd64';
const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
const CACHE = join(XDG_CACHE_HOME, 'enforcecore-vm');

/**
 * Debian's cloud kernel, and an initramfs with busybox, this Node, bwrap, the built package and the
 * scripts of `test/vm/guest`. The kernel is downloaded once, by apt, and kept in the user's cache.
 *
 * @throws when a program or package is missing; nothing but apt touches the network
 */
export function buildGuestImage(): GuestImage {
  mkdirSync(CACHE, { recursive: true });
  const kernel = findKernel();
  const root = join(CACHE, 'root');
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  for (const program of [process.execPath, '/usr/bin/bwrap']) copyProgram(root, program);
  mkdirSync(join(root, 'bin'));
  cpSync('/usr/bin/busybox', join(root, 'bin/busybox'));
  copyPackage(root);
  copyGuest(root);
  const initramfs = join(CACHE, 'initramfs.cpio');
  const names = execFileSync('find', ['.'], { cwd: root });
  writeFileSync(
    initramfs,
    execFileSync('/usr/bin/busybox', ['cpio', '-o', '-H', 'newc'], {
      cwd: root,
      input: names,
      maxBuffer: 1 << 30,
      stdio: ['pipe', 'pipe', 'ignore'],
    }),
  );
  rmSync(root, { recursive: true });
  return { kernel, initramfs };
}

function findKernel(): string {
  const depends = run('apt-cache', ['depends', PACKAGE]);
  const [, name] = /Depends: (linux-image-\S+)/.exec(depends) ?? [];
  if (name === undefined) throw new Error(`apt knows no \`${PACKAGE}\`: run \`apt-get update\``);
  const folder = join(CACHE, name);
  if (!existsSync(join(folder, 'boot'))) {
    mkdirSync(folder, { recursive: true });
    run('apt-get', ['download', name], folder);
    const [archive = ''] = readdirSync(folder).filter((file) => file.endsWith('.deb'));
    run('dpkg-deb', ['-x', archive, '.'], folder);
    // Everything the test needs is built in: the modules are most of the size.
    for (const extra of [archive, 'lib', 'usr'])
      rmSync(join(folder, extra), { recursive: true, force: true });
  }
  const [image = ''] = readdirSync(join(folder, 'boot')).filter((file) =>
    file.startsWith('vmlinuz'),
  );
  return join(folder, 'boot', image);
}

function run(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    timeout: 120_000,
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** A program, its libraries and its loader, each under the name by which it is looked up. */
function copyProgram(root: string, program: string): void {
  const libraries = [...libraryReport(program).matchAll(/(\/\S+) \(0x/g)].map(
    ([, path = '']) => path,
  );
  for (const path of [program, ...libraries]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    cpSync(realpathSync(path), join(root, path));
  }
}

function libraryReport(program: string): string {
  try {
    return execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch {
    // ldd fails on a static program, which has none.
    return '';
  }
}

/** The package as it is installed: what was built, and what it depends on. */
function copyPackage(root: string): void {
  const target = join(root, 'guest/package');
  const dependencies = run('npm', ['ls', '--omit=dev', '--all', '--parseable'])
    .trim()
    .split('\n')
    .slice(1);
  for (const path of ['package.json', 'dist', 'sandbox-profiles', 'policies'].map((name) =>
    resolve(name),
  ))
    if (existsSync(path)) cpSync(path, join(target, relative('.', path)), { recursive: true });
  for (const path of dependencies)
    cpSync(path, join(target, relative('.', path)), { recursive: true, filter: isCode });
}

const isCode = (path: string): boolean => !/\.(map|md|d\.ts|d\.mts|d\.cts)$/.test(path);

function copyGuest(root: string): void {
  for (const name of ['init', 'init-root']) {
    cpSync(join('test/vm/guest', name), join(root, name));
    chmodSync(join(root, name), 0o755);
  }
  const scripts = join(root, 'guest/scripts');
  mkdirSync(scripts, { recursive: true });
  for (const name of readdirSync('test/vm/guest').filter((file) => file.endsWith('.mjs')))
    cpSync(join('test/vm/guest', name), join(scripts, name));
  mkdirSync(join(root, 'etc'));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
}
