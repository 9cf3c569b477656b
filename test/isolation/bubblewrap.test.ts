import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BubblewrapInput, bubblewrapArguments } from '../../src/isolation/bubblewrap.ts';

const VIEW = {
  read: ['/etc/hosts', '/home/u/app', '/proc', '/usr/lib'],
  write: ['/dev/null', '/home/u/app/out', '/scratch'],
  execute: ['/usr/bin/node'],
  masks: [],
  links: [
    { path: '/lib', target: '/usr/lib' },
    { path: '/lib/ld.so', target: '/usr/lib/x/ld.so' },
    { path: '/home/u/app/node_modules/a', target: '/home/u/a' },
  ],
  folds: [],
  notes: [],
};
const USER = { uid: 1000, gid: 1001, droppedInside: false };
const build = (input: Partial<BubblewrapInput> = {}) =>
  bubblewrapArguments({
    view: VIEW,
    scratch: { path: '/scratch', bytes: 1_048_576 },
    user: USER,
    network: 'none',
    sockets: [],
    firstDescriptor: 6,
    command: ['/launcher'],
    ...input,
  });
/** The arguments that follow each use of an option. */
const uses = (argv: readonly string[], option: string, count: number) =>
  argv.flatMap((word, at) => (word === option ? [argv.slice(at + 1, at + 1 + count)] : []));

test('binds every path of the view by a descriptor, and never the root', () => {
  const { argv, binds } = build();
  expect(binds).toEqual([
    { descriptor: 8, path: '/etc/hosts', access: 'read' },
    { descriptor: 9, path: '/home/u/app', access: 'read' },
    { descriptor: 10, path: '/home/u/app/out', access: 'write' },
    { descriptor: 11, path: '/usr/lib', access: 'read' },
  ]);
  expect(uses(argv, '--ro-bind', 2)).toContainEqual(['/proc/self/fd/9', '/home/u/app']);
  expect(uses(argv, '--bind', 2)).toEqual([['/proc/self/fd/10', '/home/u/app/out']]);
});

test('lies about nothing: the view’s /proc, /dev and scratch are the sandbox’s own', () => {
  const { argv, binds } = build();
  expect(binds.map(({ path }) => path)).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/^\/(proc|dev|scratch)/)]),
  );
  expect(uses(argv, '--proc', 1)).toEqual([['/proc']]);
  expect(uses(argv, '--ro-bind', 2)).toContainEqual(['/proc/sys', '/proc/sys']);
  expect(uses(argv, '--dev', 1)).toEqual([['/dev']]);
});

test('bounds the scratch folder, and leaves no other tmpfs writable', () => {
  const { argv } = build();
  expect(uses(argv, '--size', 3)).toEqual([['1048576', '--tmpfs', '/scratch']]);
  expect(uses(argv, '--tmpfs', 1)).toEqual([['/scratch']]);
  expect(uses(argv, '--remount-ro', 1)).toEqual([['/dev'], ['/']]);
});

test('unshares everything, starts a session, dies with its parent, passes no environment', () => {
  const { argv } = build();
  for (const option of [
    '--unshare-user',
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-net',
    '--unshare-cgroup-try',
    '--die-with-parent',
    '--new-session',
    '--clearenv',
  ])
    expect(argv).toContain(option);
  expect(argv).not.toContain('--setenv');
  expect(argv).not.toContain('--as-pid-1');
});

test('makes no user namespace for a root supervisor and keeps what the launcher needs to drop', () => {
  const { argv } = build({ user: { uid: 1_879_048_192, gid: 1_879_048_192, droppedInside: true } });
  expect(argv).not.toContain('--unshare-user');
  expect(argv).not.toContain('--uid');
  expect(uses(argv, '--cap-drop', 1)).toEqual([['ALL']]);
  expect(uses(argv, '--cap-add', 1).flat()).toEqual(['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP']);
});

test('gives an ordinary user no capability at all', () => {
  expect(build().argv).not.toContain('--cap-add');
});

test('shares the network only when it is unrestricted', () => {
  expect(build({ network: 'bridged' }).argv).toContain('--unshare-net');
  expect(build({ network: 'unrestricted' }).argv).not.toContain('--unshare-net');
});

test('names only the tool’s own user, on the first free descriptors', () => {
  const { data } = build();
  expect(data.map(({ descriptor }) => descriptor)).toEqual([6, 7]);
  expect(data.map(({ text }) => text)).toEqual([
    'tool:x:1000:1001:tool:/scratch:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    'tool:x:1001:\nnogroup:x:65534:\n',
  ]);
});

test('makes links only where no bound folder has them already, and /tmp leads to scratch', () => {
  expect(uses(build().argv, '--symlink', 2)).toEqual([
    ['/usr/lib', '/lib'],
    ['/scratch', '/tmp'],
  ]);
});

test('opens the parents of mount points to the user that the launcher changes to', () => {
  const { argv } = build();
  const parents = uses(argv, '--perms', 3).filter((words) => words[1] === '--dir');
  expect(parents.map((words) => [words[0], words[2]])).toEqual([
    ['0755', '/etc'],
    ['0755', '/home'],
    ['0755', '/home/u'],
    ['0755', '/usr'],
  ]);
});

test('mounts masks after the folders they lie in, by descriptors where something is shown', () => {
  const masks = [
    { path: '/home/u/app/out/.git', effect: 'pin', kind: 'folder', exists: true },
    { path: '/home/u/app/out/.git/config', effect: 'read-only', kind: 'file', exists: true },
    { path: '/home/u/app/out/.git/hooks', effect: 'read-only', kind: 'folder', exists: false },
    { path: '/home/u/app/out/key', effect: 'hide', kind: 'file', exists: true },
  ] as const;
  const { argv, binds } = build({ view: { ...VIEW, masks } });
  expect(binds.slice(-2)).toEqual([
    { descriptor: 12, path: '/home/u/app/out/.git', access: 'write' },
    { descriptor: 13, path: '/home/u/app/out/.git/config', access: 'read' },
  ]);
  const at = (...words: string[]) => argv.join('\0').indexOf(words.join('\0'));
  const order = [
    at('--bind', '/proc/self/fd/10', '/home/u/app/out'),
    at('--bind', '/proc/self/fd/12', '/home/u/app/out/.git'),
    at('--ro-bind', '/proc/self/fd/13', '/home/u/app/out/.git/config'),
    at('--tmpfs', '/home/u/app/out/.git/hooks', '--remount-ro', '/home/u/app/out/.git/hooks'),
    at('--ro-bind', '/dev/null', '/home/u/app/out/key'),
  ];
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order).not.toContain(-1);
});

test('binds sockets of the supervisor where the tool expects them', () => {
  const sockets = [{ path: '/run/user/1/a.sock', target: '/run/egress.sock' }];
  const { argv, binds } = build({ sockets });
  expect(binds.at(-1)).toEqual({ descriptor: 12, path: '/run/user/1/a.sock', access: 'read' });
  expect(uses(argv, '--ro-bind', 2)).toContainEqual(['/proc/self/fd/12', '/run/egress.sock']);
});

test('refuses views that it would be slow to mount, and a relative scratch', () => {
  const read = Array.from({ length: 513 }, (_, index) => `/data/${index}`);
  expect(() => build({ view: { ...VIEW, read } })).toThrow('at most 512 are made');
  expect(() => build({ scratch: { path: 'scratch', bytes: 1 } })).toThrow(RangeError);
});

describe('for any view', () => {
  const path = fc
    .array(fc.stringMatching(/^[a-z-]{1,6}$/), { minLength: 1, maxLength: 4 })
    .map((parts) => `/${parts.join('/')}`);

  test('no path of the host is a source, and no word of a path is taken for an option', () => {
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 20 }), fc.nat(20), (paths, writable) => {
        const view = { ...VIEW, read: paths.slice(writable), write: paths.slice(0, writable) };
        const { argv } = build({ view });
        const sources = [...uses(argv, '--ro-bind', 2), ...uses(argv, '--bind', 2)].map(
          ([from]) => from,
        );
        for (const source of sources)
          expect(source).toMatch(/^(\/proc\/self\/fd\/\d+|\/proc\/sys|\/dev\/null)$/);
        expect(argv.indexOf('--')).toBe(argv.length - 2);
      }),
    );
  });
});
