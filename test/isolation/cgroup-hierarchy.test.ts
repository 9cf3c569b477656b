import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownHierarchies } from '../../src/isolation/cgroup-hierarchy.ts';

const HYBRID = `22 20 0:20 / /proc rw - proc proc rw
30 29 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/my\\040pids rw - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
36 30 0:32 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
`;
const UNIFIED = '30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n';

test('finds the groups of a hybrid host, in a part of a tree and under an odd name', () => {
  const membership =
    '5:cpu,cpuacct:/user\n4:memory:/docker/abc/x\n3:pids:/\n2:freezer:/\n1:name=systemd:/u\n0::/a\n';
  expect(ownHierarchies(HYBRID, membership)).toEqual([
    { version: 1, controllers: ['cpu', 'cpuacct'], folder: '/sys/fs/cgroup/cpu,cpuacct/user' },
    { version: 1, controllers: ['memory'], folder: '/sys/fs/cgroup/memory/x' },
    { version: 1, controllers: ['pids'], folder: '/sys/fs/cgroup/my pids' },
    { version: 2, controllers: [], folder: '/sys/fs/cgroup/unified/a' },
  ]);
});

test('finds the one group of a cgroup2 host, with a colon in its name', () => {
  expect(ownHierarchies(UNIFIED, '0::/user.slice/app:x.scope\n')).toEqual([
    { version: 2, controllers: [], folder: '/sys/fs/cgroup/user.slice/app:x.scope' },
  ]);
});

test.each([
  ['a group outside of the namespace', UNIFIED, '0::/../../other\n'],
  ['a group outside of the mounted part', HYBRID, '4:memory:/docker/abcdef\n'],
  ['a tree that is not mounted', HYBRID, '9:rdma:/\n8:hugetlb:/\n'],
  ['a controller mounted with another one missing', HYBRID, '5:cpu,memory:/\n'],
  ['no groups at all', '', ''],
  ['text that is something else', 'a b c\n - \n', 'x:y\n::\n'],
])('finds nothing in %s', (_, mountinfo, membership) => {
  expect(ownHierarchies(mountinfo, membership)).toEqual([]);
});

test('never leaves the mount, whatever the path of the group says', () => {
  const part = fc.constantFrom('..', '.', 'a', '', 'a..b', 'docker', 'abc');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const path = `/${parts.join('/')}`;
      for (const { folder } of ownHierarchies(HYBRID + UNIFIED, `4:memory:${path}\n0::${path}\n`))
        expect(folder).toMatch(/^\/sys\/fs\/cgroup\/(memory|unified)/);
    }),
  );
});
