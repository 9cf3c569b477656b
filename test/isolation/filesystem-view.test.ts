import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildFilesystemView,
  type FilesystemViewInput,
} from '../../src/isolation/filesystem-view.ts';
import { isWithin } from '../../src/isolation/filesystem-view-names.ts';
import { fakeFiles, type Tree } from './fake-files.ts';

const HOST: Tree = {
  '/usr/bin/node': 'ELF',
  '/usr/bin/env': 'ELF',
  '/usr/bin/python3': '-> python3.11',
  '/usr/bin/python3.11': 'ELF',
  '/usr/lib/libc.so.6': '',
  '/usr/src/app/.env': 'KEY',
  '/lib': '-> usr/lib',
  '/bin': '-> usr/bin',
  '/etc/passwd': '',
  '/etc/shadow': '',
  '/etc/hosts': '',
  '/etc/resolv.conf': '-> ../run/systemd/stub.conf',
  '/run/systemd/stub.conf': '',
  '/dev/null': '',
  '/dev/urandom': '',
  '/dev/zero': '',
  '/proc/self': '-> 4711',
  '/proc/4711/environ': '',
  '/proc/stat': '',
  '/home/u/.ssh/id_ed25519': '',
  '/home/u/.local/state/enforcecore/audit/0.jsonl': '',
  '/opt/runtime/worker.js': '',
};
const RULES = { read: [], write: [], deny: [], execute: [] };

function view(tree: Tree, input: Partial<FilesystemViewInput> & { entry: string }) {
  return buildFilesystemView(
    {
      kind: 'module',
      rules: RULES,
      tier: 'hardened',
      profile: 'strict',
      nodePath: '/usr/bin/node',
      runtimeDir: '/opt/runtime',
      home: '/home/u',
      protectedPaths: ['/home/u/.local/state/enforcecore'],
      scratch: '/scratch',
      ...input,
    },
    fakeFiles({ ...HOST, ...tree }),
  );
}
const canRead = (paths: readonly string[], path: string) =>
  paths.some((folder) => isWithin(path, folder));
const refusal = (tree: Tree, input: Partial<FilesystemViewInput> & { entry: string }) => {
  try {
    view(tree, input);
  } catch (error) {
    return error as { code: string; message: string; details: { cause: string; remedy: string } };
  }
  throw new Error('nothing was thrown');
};

describe('the code of a module tool', () => {
  const APP: Tree = {
    '/home/u/app/package.json': '{}',
    '/home/u/app/tool.js': '',
    '/home/u/app/lib/a.js': '',
    '/home/u/app/lib/b/c.js': '',
    '/home/u/app/.env': 'KEY',
    '/home/u/app/.git/config': '',
  };
  const entry = '/home/u/app/tool.js';

  test('is readable with its package, around names that look like secrets', () => {
    const { read } = view(APP, { entry });
    expect(read).toEqual(
      expect.arrayContaining(['/home/u/app/lib', '/home/u/app/package.json', entry]),
    );
    for (const hidden of [
      '/home/u/app',
      '/home/u/app/.env',
      '/home/u/app/.git/config',
      '/home/u/other',
    ])
      expect(canRead(read, hidden), hidden).toBe(false);
  });

  test.each([
    '.env.local',
    '.npmrc',
    'server.pem',
    'server.KEY',
    'store.p12',
    'id_rsa',
    'aws-credentials.json',
    'client_secret.json',
    'Secrets.yaml',
  ])('hides `%s` at any depth', (name) => {
    const hidden = `/home/u/app/lib/b/${name}`;
    const { read, notes } = view({ ...APP, [hidden]: '' }, { entry });
    expect(canRead(read, hidden)).toBe(false);
    expect(canRead(read, '/home/u/app/lib/b/c.js')).toBe(true);
    expect(notes.join()).toContain('hidden');
  });

  test('is only its own file where the nearest package is a home, a shared or a temporary folder', () => {
    for (const folder of [
      '/home/u',
      '/tmp',
      '/',
      '/home',
      '/home/other',
      '/root',
      '/opt',
      '/var/tmp',
    ]) {
      const file = `${folder === '/' ? '' : folder}/tool.mjs`;
      const beside = file.replace('tool', 'beside');
      const { read, notes } = view({ [file]: '', [beside]: '' }, { entry: file });
      expect(read).toContain(file);
      expect(canRead(read, beside), beside).toBe(false);
      expect(notes.join()).toContain('filesystem.read');
    }
  });

  test('keeps the module kind that the package.json of a home gives it', () => {
    const tree = { '/home/u/package.json': '{"type":"module"}', '/home/u/t.js': '' };
    const { read } = view(tree, { entry: '/home/u/t.js' });
    expect(read).toContain('/home/u/package.json');
    expect(canRead(read, '/home/u/.ssh/id_ed25519')).toBe(false);
  });

  test('is only its own file in a package with more entries than are looked through', () => {
    const many = Object.fromEntries(
      Array.from({ length: 4097 }, (_, index) => [`/home/u/app/data/${index}`, '']),
    );
    const { read, notes } = view({ ...APP, ...many }, { entry });
    expect(read).toContain(entry);
    expect(read).toContain('/home/u/app/package.json');
    expect(canRead(read, '/home/u/app/lib/a.js')).toBe(false);
    expect(notes.join()).toContain('4096 entries');
  });

  test('does not follow links out of the package', () => {
    const tree = { ...APP, '/home/u/app/lib/link': '-> /home/u/.ssh' };
    expect(canRead(view(tree, { entry }).read, '/home/u/.ssh/id_ed25519')).toBe(false);
  });

  test('never includes the trail, policies and keys, although they lie in the package', () => {
    const tree = { ...APP, '/home/u/app/audit/0.jsonl': '', '/home/u/app/policy.yaml': '' };
    const protectedPaths = ['/home/u/app/audit', '/home/u/app/policy.yaml'];
    const { read } = view(tree, { entry, protectedPaths });
    for (const path of ['/home/u/app/audit/0.jsonl', '/home/u/app/policy.yaml'])
      expect(canRead(read, path)).toBe(false);
    expect(canRead(read, '/home/u/app/lib/a.js')).toBe(true);
  });

  test('is refused where it lies in a path that no tool may read', () => {
    const error = refusal(APP, { entry, rules: { ...RULES, deny: ['/home/u/app'] } });
    expect(error.code).toBe('ENF_ISOLATION_UNAVAILABLE');
    expect(error.details.cause).toContain(entry);
  });

  test('in /usr/src leaves the secrets beside it alone, because /usr is not granted whole', () => {
    const tree = { '/usr/src/app/package.json': '', '/usr/src/app/t.js': '' };
    const { read } = view(tree, { entry: '/usr/src/app/t.js', profile: 'compat' });
    expect(canRead(read, '/usr/src/app/.env')).toBe(false);
    expect(canRead(read, '/usr/lib/libc.so.6')).toBe(true);
  });

  test('in /usr/lib keeps its own secrets too', () => {
    const tree = {
      '/usr/lib/tool/package.json': '',
      '/usr/lib/tool/t.js': '',
      '/usr/lib/tool/.env': '',
    };
    const { read } = view(tree, { entry: '/usr/lib/tool/t.js' });
    expect(canRead(read, '/usr/lib/tool/.env')).toBe(false);
    expect(canRead(read, '/usr/lib/tool/t.js')).toBe(true);
    expect(canRead(read, '/usr/lib/libc.so.6')).toBe(true);
  });
});

describe('the packages of a module tool', () => {
  test('of a pnpm workspace are found through the links of its store and its own packages', () => {
    const { read } = view(
      {
        '/home/u/ws/package.json': '',
        '/home/u/ws/.env': 'KEY',
        '/home/u/ws/packages/app/package.json': '',
        '/home/u/ws/packages/app/tool.js': '',
        '/home/u/ws/packages/app/node_modules/left':
          '-> ../../../node_modules/.pnpm/left@1/node_modules/left',
        '/home/u/ws/packages/app/node_modules/@ws/lib': '-> ../../../lib',
        '/home/u/ws/packages/lib/package.json': '',
        '/home/u/ws/packages/lib/index.js': '',
        '/home/u/ws/packages/lib/.env': 'KEY',
        '/home/u/ws/packages/lib/node_modules/deep':
          '-> ../../../node_modules/.pnpm/deep@1/node_modules/deep',
        '/home/u/ws/packages/other/package.json': '',
        '/home/u/ws/packages/other/index.js': '',
        '/home/u/ws/node_modules/.pnpm/left@1/node_modules/left/package.json': '',
        '/home/u/ws/node_modules/.pnpm/deep@1/node_modules/deep/package.json': '',
      },
      { entry: '/home/u/ws/packages/app/tool.js' },
    );
    for (const path of [
      '/home/u/ws/package.json',
      '/home/u/ws/node_modules/.pnpm/left@1/node_modules/left/package.json',
      '/home/u/ws/node_modules/.pnpm/deep@1/node_modules/deep/package.json',
      '/home/u/ws/packages/lib/index.js',
      '/home/u/ws/packages/lib/package.json',
      '/home/u/ws/packages/lib/node_modules/deep',
    ])
      expect(canRead(read, path), path).toBe(true);
    for (const path of [
      '/home/u/ws/.env',
      '/home/u/ws/packages/lib/.env',
      '/home/u/ws/packages/other/index.js',
    ])
      expect(canRead(read, path), path).toBe(false);
  });

  test('of a store outside the project are found with what they need', () => {
    const store = '/home/u/.local/share/pnpm/links/left@1/node_modules';
    const { read, links } = view(
      {
        '/home/u/app/package.json': '',
        '/home/u/app/t.js': '',
        '/home/u/app/node_modules/left': `-> ${store}/left`,
        [`${store}/left/package.json`]: '',
        [`${store}/left/index.js`]: '',
        [`${store}/dep/index.js`]: '',
      },
      { entry: '/home/u/app/t.js' },
    );
    expect(canRead(read, `${store}/left/index.js`)).toBe(true);
    expect(canRead(read, `${store}/dep/index.js`)).toBe(true);
    expect(canRead(read, '/home/u/.local/state/enforcecore/audit/0.jsonl')).toBe(false);
    expect(links).toContainEqual({
      path: '/home/u/app/node_modules/left',
      target: `${store}/left`,
    });
  });

  test('of an npx install are found although they lie in a dot folder of the home', () => {
    const folder = '/home/u/.npm/_npx/abc';
    const { read } = view(
      {
        [`${folder}/package.json`]: '',
        [`${folder}/node_modules/tool/package.json`]: '',
        [`${folder}/node_modules/tool/cli.js`]: '',
        [`${folder}/node_modules/dep/index.js`]: '',
        '/home/u/.npm/_cacache/index': '',
        '/home/u/.npmrc': '',
      },
      { entry: `${folder}/node_modules/tool/cli.js` },
    );
    expect(canRead(read, `${folder}/node_modules/dep/index.js`)).toBe(true);
    expect(canRead(read, '/home/u/.npm/_cacache/index')).toBe(false);
    expect(canRead(read, '/home/u/.npmrc')).toBe(false);
  });

  test('that were linked by npm are found through every link between', () => {
    const { read, links } = view(
      {
        '/home/u/app/package.json': '',
        '/home/u/app/t.js': '',
        '/home/u/app/node_modules/linked': '-> /home/u/.nvm/lib/node_modules/linked',
        '/home/u/.nvm/lib/node_modules/linked': '-> ../../../dev/linked',
        '/home/u/dev/linked/package.json': '',
        '/home/u/dev/linked/index.js': '',
        '/home/u/dev/linked/.env': 'KEY',
        '/home/u/dev/node_modules/dep/package.json': '',
        '/home/u/dev/secret.txt': '',
      },
      { entry: '/home/u/app/t.js' },
    );
    expect(canRead(read, '/home/u/dev/linked/index.js')).toBe(true);
    expect(canRead(read, '/home/u/dev/node_modules/dep/package.json')).toBe(true);
    expect(canRead(read, '/home/u/dev/linked/.env')).toBe(false);
    expect(canRead(read, '/home/u/dev/secret.txt')).toBe(false);
    expect(links.map(({ path }) => path)).toContain('/home/u/.nvm/lib/node_modules/linked');
  });

  test.each([
    ['a folder of secrets', '/home/u/.ssh'],
    ['a home', '/home/u'],
    ['the root', '/'],
    ['the trail', '/home/u/.local/state/enforcecore/audit'],
    ['nothing', '/home/u/absent'],
    ['itself', '/home/u/app/node_modules/planted'],
  ])('are not widened by a link to %s', (_, target) => {
    const { read } = view(
      {
        '/home/u/app/package.json': '',
        '/home/u/app/t.js': '',
        '/home/u/app/node_modules/planted': `-> ${target}`,
      },
      { entry: '/home/u/app/t.js' },
    );
    expect(canRead(read, '/home/u/.ssh/id_ed25519')).toBe(false);
    expect(canRead(read, '/home/u/.local/state/enforcecore/audit/0.jsonl')).toBe(false);
    expect(read.filter((path) => path.startsWith('/home'))).toEqual(['/home/u/app']);
  });

  test('are not widened by a link that the tool could have made in a write path', () => {
    const tree = {
      '/home/u/app/package.json': '',
      '/home/u/app/t.js': '',
      '/home/u/app/out/node_modules/planted': '-> /home/u/other',
      '/home/u/other/package.json': '',
      '/home/u/other/secretive.txt': '',
    };
    const entry = '/home/u/app/t.js';
    const rules = { ...RULES, write: ['/home/u/app/out'] };
    expect(canRead(view(tree, { entry }).read, '/home/u/other/package.json')).toBe(true);
    expect(canRead(view(tree, { entry, rules }).read, '/home/u/other/package.json')).toBe(false);
  });

  test('reach through a linked node_modules only a folder of that name', () => {
    const app = { '/home/u/app/package.json': '', '/home/u/app/t.js': '' };
    const entry = '/home/u/app/t.js';
    const shared = { '/home/u/deps/node_modules/x/package.json': '' };
    const real = view(
      { ...app, ...shared, '/home/u/app/node_modules': '-> ../deps/node_modules' },
      { entry },
    );
    expect(canRead(real.read, '/home/u/deps/node_modules/x/package.json')).toBe(true);
    const planted = view({ ...app, '/home/u/app/node_modules': '-> /home/u/.ssh' }, { entry });
    expect(canRead(planted.read, '/home/u/.ssh/id_ed25519')).toBe(false);
  });

  test('are granted around a trail that lies among them', () => {
    const { read } = view(
      {
        '/home/u/app/package.json': '',
        '/home/u/app/t.js': '',
        '/home/u/app/node_modules/.cache/audit/0': '',
        '/home/u/app/node_modules/x/index.js': '',
      },
      { entry: '/home/u/app/t.js', protectedPaths: ['/home/u/app/node_modules/.cache/audit'] },
    );
    expect(canRead(read, '/home/u/app/node_modules/x/index.js')).toBe(true);
    expect(canRead(read, '/home/u/app/node_modules/.cache/audit/0')).toBe(false);
  });

  test('are not searched for links without end', () => {
    const many = Object.fromEntries(
      Array.from({ length: 65_537 }, (_, index) => [`/home/u/app/node_modules/${index}.js`, '']),
    );
    const { read, notes } = view(
      {
        '/home/u/app/package.json': '',
        '/home/u/app/t.js': '',
        ...many,
        '/home/u/app/node_modules/zz': '-> /home/u/dev/zz',
        '/home/u/dev/zz/package.json': '',
      },
      { entry: '/home/u/app/t.js' },
    );
    expect(canRead(read, '/home/u/dev/zz/package.json')).toBe(false);
    expect(notes.join()).toContain('too many installed packages');
  });

  test.each(['.pnp.cjs', '.pnp.loader.mjs'])('of Yarn are refused in archives (%s)', (name) => {
    const tree = {
      '/home/u/ws/packages/a/package.json': '',
      '/home/u/ws/packages/a/t.js': '',
      [`/home/u/ws/${name}`]: '',
    };
    const error = refusal(tree, { entry: '/home/u/ws/packages/a/t.js' });
    expect(error.code).toBe('ENF_ISOLATION_UNAVAILABLE');
    expect(error.details.remedy).toContain('nodeLinker');
  });
});

describe('the rest of the host', () => {
  const app = { '/home/u/app/package.json': '', '/home/u/app/t.js': '' };
  const entry = '/home/u/app/t.js';

  test.each([
    '/etc/shadow',
    '/run/systemd/private',
    '/home/u/.ssh/id_ed25519',
    '/proc/4711/environ',
    '/proc/1/environ',
    '/var/log/syslog',
    '/dev/sda',
  ])('hides `%s`', (path) => {
    for (const tier of ['hardened', 'isolated'] as const)
      for (const profile of ['strict', 'compat', 'off'] as const) {
        const { read } = view(app, { entry, tier, profile });
        // At `isolated` `/proc` is the sandbox's own.
        if (tier === 'isolated' && path.startsWith('/proc')) continue;
        expect(canRead(read, path)).toBe(false);
      }
  });

  test('is libraries and named files, and programs only beyond `strict`', () => {
    const strict = view(app, { entry }).read;
    expect(canRead(strict, '/usr/bin/python3.11')).toBe(false);
    expect(strict).toEqual(
      expect.arrayContaining(['/usr/lib', '/etc/hosts', '/proc/self', '/proc/stat']),
    );
    expect(canRead(view(app, { entry, profile: 'compat' }).read, '/usr/bin/python3.11')).toBe(true);
  });

  test('names the supervisor neither by its own /proc/self nor by accounts at `isolated`', () => {
    expect(view(app, { entry }).read).toContain('/proc/self');
    expect(view(app, { entry }).read).not.toContain('/proc/4711');
    const isolated = view(app, { entry, tier: 'isolated' }).read;
    expect(isolated).not.toContain('/etc/passwd');
    expect(isolated).toContain('/proc');
  });

  test('keeps links of the host as links', () => {
    const { read, links } = view(app, { entry });
    expect(read).toContain('/run/systemd/stub.conf');
    expect(links).toContainEqual({ path: '/etc/resolv.conf', target: '/run/systemd/stub.conf' });
    expect(links).toContainEqual({ path: '/lib', target: '/usr/lib' });
  });

  test('is writable in `/dev/null` and scratch alone', () => {
    expect(view(app, { entry }).write).toEqual(['/dev/null', '/scratch']);
  });
});

describe('what may be executed', () => {
  const elf = (interpreter: string) => {
    const file = new Uint8Array(256);
    const at = new DataView(file.buffer);
    file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    at.setBigUint64(32, 64n, true);
    at.setUint16(54, 56, true);
    at.setUint16(56, 1, true);
    at.setUint32(64, 3, true);
    at.setBigUint64(72, 128n, true);
    at.setBigUint64(96, BigInt(interpreter.length + 1), true);
    file.set(Buffer.from(`${interpreter}\0`), 128);
    return file;
  };
  const loader = { '/lib64': '-> usr/lib64', '/usr/lib64/ld.so': '' };

  test('for a module is Node and its loader', () => {
    const tree = { ...loader, '/usr/bin/node': elf('/lib64/ld.so'), '/home/u/app/t.js': '' };
    const { execute, links } = view(tree, { entry: '/home/u/app/t.js' });
    expect(execute).toEqual(['/usr/bin/node', '/usr/lib64/ld.so']);
    expect(links).toContainEqual({ path: '/lib64/ld.so', target: '/usr/lib64/ld.so' });
  });

  test('for a script is the script, its interpreter and the loader of that', () => {
    const tree = {
      ...loader,
      '/home/u/bin/tool': '#!/usr/bin/env -S python3 -u\n',
      '/usr/bin/python3.11': elf('/lib64/ld.so'),
    };
    const { execute } = view(tree, {
      entry: '/home/u/bin/tool',
      kind: 'command',
      profile: 'compat',
    });
    expect(execute).toEqual([
      '/home/u/bin/tool',
      '/usr/bin/env',
      '/usr/bin/python3.11',
      '/usr/lib64/ld.so',
    ]);
  });

  test('of a folder in the policy includes the loader', () => {
    const tree = { ...loader, '/usr/bin/node': elf('/lib64/ld.so') };
    const rules = { ...RULES, execute: ['/usr/bin'] };
    const { execute } = view(tree, { entry: '/usr/bin/python3.11', kind: 'command', rules });
    expect(execute).toEqual(['/usr/bin', '/usr/lib64/ld.so']);
  });

  test('survives any bytes in the head of a program', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isElf) => {
        const head = isElf
          ? Uint8Array.from([...elf('/lib64/ld.so').slice(0, 64), ...bytes])
          : bytes;
        const tree = { '/home/u/bin/tool': head };
        const { execute } = view(tree, { entry: '/home/u/bin/tool', kind: 'command' });
        expect(execute).toContain('/home/u/bin/tool');
      }),
    );
  });

  test('of scripts given to an interpreter is not, but they are readable', () => {
    const tree = { '/home/u/app/tool.py': '', '/home/u/app/.env': '' };
    const input = {
      entry: '/usr/bin/python3.11',
      kind: 'command' as const,
      scripts: ['/home/u/app/tool.py'],
    };
    const { read } = view(tree, input);
    expect(canRead(read, '/home/u/app/tool.py')).toBe(true);
    expect(canRead(read, '/home/u/app/.env')).toBe(false);
  });
});

describe('the paths of a policy', () => {
  const tree = {
    '/home/u/app/package.json': '',
    '/home/u/app/t.js': '',
    '/home/u/data/in/x': '',
    '/home/u/data/out/y': '',
    '/home/u/link': '-> data',
    '/home/u/repo/.git/config': '',
    '/home/u/repo/deep/a': '',
    '/home/u/project/package.json': '',
    '/home/u/project/docs/a': '',
  };
  const entry = '/home/u/app/t.js';
  const rules = (extra: Partial<typeof RULES> | Record<string, string[]>) => ({
    ...RULES,
    ...extra,
  });

  test('are granted as real paths', () => {
    const granted = view(tree, {
      entry,
      rules: rules({ read: ['/home/u/link/in/'], write: ['/home/u/data/out'] }),
    });
    expect(granted.read).toContain('/home/u/data/in');
    expect(granted.write).toContain('/home/u/data/out');
    expect(granted.links).toContainEqual({ path: '/home/u/link/in/', target: '/home/u/data/in' });
  });

  test.each<[string, Record<string, string[]>, string]>([
    ['a path that does not exist', { read: ['/home/u/absent'] }, 'does not exist'],
    ['a relative path', { read: ['data'] }, 'does not exist'],
    [
      'a read path below a write path',
      { read: ['/home/u/data/in'], write: ['/home/u/data'] },
      'lies below',
    ],
    [
      'the same by another name',
      { read: ['/home/u/link/in'], write: ['/home/u/data'] },
      'lies below',
    ],
    [
      'a write path below a write path',
      { write: ['/home/u/data', '/home/u/data/out'] },
      'lies below',
    ],
    ['the root', { read: ['/'] }, 'cannot be granted'],
    ['processes', { read: ['/proc/4711'] }, 'cannot be granted'],
    ['a writable home', { write: ['/home/u'] }, 'belongs to the host'],
    ['a writable folder above homes', { write: ['/home'] }, 'belongs to the host'],
    ['a writable root', { write: ['/'] }, 'belongs to the host'],
    ['writable devices', { write: ['/dev/zero'] }, 'belongs to the host'],
    ['writable configuration', { write: ['/etc'] }, 'belongs to the host'],
    ['the folder of the tool', { write: ['/home/u/app'] }, 'holds the tool'],
    ['a write path over the trail', { write: ['/home/u/.local/state'] }, 'belongs to enforcecore'],
    [
      'a write path in the trail',
      { write: ['/home/u/.local/state/enforcecore/audit'] },
      'belongs to enforcecore',
    ],
    ['reading the trail', { read: ['/home/u/.local/state/enforcecore/audit'] }, 'denied path'],
    [
      'a grant inside a denied path',
      { read: ['/home/u/data/in'], deny: ['/home/u/data'] },
      'denied path',
    ],
    [
      'a grant inside a denied path by a link',
      { read: ['/home/u/link/in'], deny: ['/home/u/data'] },
      'denied path',
    ],
  ])('may not be %s, at any tier', (_, paths, cause) => {
    for (const tier of ['hardened', 'isolated'] as const) {
      const error = refusal(tree, { entry, tier, rules: rules(paths) });
      expect(error.code).toBe('ENF_ISOLATION_UNAVAILABLE');
      expect(error.details.cause).toContain(cause);
      expect(error.details.remedy).not.toBe('');
    }
  });

  test('below a write path are found by a link that leads out of it', () => {
    // C3: the tool made `in` a link to a folder of its choice, after the first call.
    const swapped = { ...tree, '/home/u/data/swapped': '-> /home/u/.ssh' };
    const error = refusal(swapped, {
      entry,
      rules: rules({ read: ['/home/u/data/swapped'], write: ['/home/u/data'] }),
    });
    expect(error.details.cause).toContain('lies below');
  });

  test.each<[string, Record<string, string[]>, string]>([
    ['a denied path', { read: ['/home/u/data'], deny: ['/home/u/data/in'] }, '/home/u/data/in'],
    [
      'a denied path that does not exist yet',
      { write: ['/home/u/data'], deny: ['/home/u/data/later'] },
      '/home/u/data/later',
    ],
    ['the trail', { read: ['/home/u'] }, '/home/u/.local/state/enforcecore'],
    ['a repository', { write: ['/home/u/repo'] }, '.git'],
    ['a package', { write: ['/home/u/project'] }, 'package.json'],
  ])('at `hardened` may not contain %s', (_, paths, cause) => {
    const error = refusal(tree, { entry, rules: rules(paths) });
    expect(error.details.cause).toContain(cause);
    expect(error.details.remedy).toContain('isolated');
  });

  test.each([
    '.bashrc',
    '.mcp.json',
    '.vscode/tasks.json',
    '.npmrc',
    'sub/repo/.git/hooks/pre-commit',
  ])('at `hardened` may not contain `%s`', (name) => {
    const error = refusal(
      { ...tree, [`/home/u/data/out/${name}`]: '' },
      { entry, rules: rules({ write: ['/home/u/data/out'] }) },
    );
    expect(error.details.cause).toContain('cannot protect');
  });

  test('at `hardened` may not be writable where the names in it cannot all be looked at', () => {
    const deep = { [`/home/u/data/out/${'d/'.repeat(12)}f`]: '' };
    const error = refusal(
      { ...tree, ...deep },
      { entry, rules: rules({ write: ['/home/u/data/out'] }) },
    );
    expect(error.details.cause).toContain('too large');
  });

  test('at `isolated` are mounted over: hooks read-only, the folder above pinned', () => {
    const { masks } = view(tree, {
      entry,
      tier: 'isolated',
      rules: rules({ write: ['/home/u/repo'] }),
    });
    expect(masks).toContainEqual({
      path: '/home/u/repo/.git',
      effect: 'pin',
      kind: 'folder',
      exists: true,
    });
    expect(masks).toContainEqual({
      path: '/home/u/repo/.git/config',
      effect: 'read-only',
      kind: 'file',
      exists: true,
    });
    expect(masks).toContainEqual({
      path: '/home/u/repo/.git/hooks',
      effect: 'read-only',
      kind: 'folder',
      exists: false,
    });
    expect(masks).toContainEqual({
      path: '/home/u/repo/.mcp.json',
      effect: 'read-only',
      kind: 'file',
      exists: false,
    });
  });

  test('at `isolated` hide what is denied, and pin the folders that lead to it', () => {
    const { masks } = view(tree, {
      entry,
      tier: 'isolated',
      rules: rules({ write: ['/home/u/data'], deny: ['/home/u/data/in/x'] }),
    });
    expect(masks).toContainEqual({
      path: '/home/u/data/in',
      effect: 'pin',
      kind: 'folder',
      exists: true,
    });
    expect(masks).toContainEqual({
      path: '/home/u/data/in/x',
      effect: 'hide',
      kind: 'file',
      exists: true,
    });
  });

  test('at `isolated` need no pins where the tool cannot rename', () => {
    const { masks } = view(tree, {
      entry,
      tier: 'isolated',
      rules: rules({ read: ['/home/u/data'], deny: ['/home/u/data/in/x'] }),
    });
    expect(masks.map(({ effect }) => effect)).toEqual(['hide']);
  });
});

test('no view of any tree shows a name that looks like a secret in the tool’s own package', () => {
  const name = fc.constantFrom('a', 'lib', '.env', 'x.pem', 'id_rsa', 'b.js', 'my-secret', 'node');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
      const tree: Record<string, string> = { '/w/app/package.json': '', '/w/app/t.js': '' };
      for (const file of paths)
        if (!paths.some((other) => other.startsWith(`${file}/`))) tree[`/w/app/${file}`] = '';
      const { read } = view(tree, { entry: '/w/app/t.js' });
      for (const file of Object.keys(tree)) {
        const hidden = /\/(\.env|x\.pem|id_rsa|my-secret)(\/|$)/.test(file);
        expect(canRead(read, file), file).toBe(!hidden);
      }
    }),
  );
});
