import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isSyscallName, syscallsOf } from '../../src/isolation/seccomp-syscalls.ts';
import { lacks } from './launched-program.ts';

const HEADERS = [
  { architecture: 'x64', folder: '/usr/include/x86_64-linux-gnu', define: [] },
  {
    architecture: 'arm64',
    folder: '/usr/aarch64-linux-gnu/include',
    define: ['-nostdinc', '-U__x86_64__', '-D__aarch64__'],
  },
] as const;

describe.each(HEADERS)('the system calls of $architecture', ({ architecture, folder, define }) => {
  const ours = syscallsOf(architecture);

  test.skipIf(lacks('kernel-headers', existsSync(`${folder}/asm/unistd.h`)))(
    'have the numbers of the kernel headers',
    () => {
      const run = (args: readonly string[], input: string) =>
        execFileSync('gcc', ['-E', ...define, `-I${folder}`, ...args, '-'], { input }).toString();
      const macros = run(['-dM', '-xc'], '#include <asm/unistd.h>\n');
      const names = [...macros.matchAll(/^#define __NR_(\w+) /gm)]
        .map(([, name]) => name ?? '')
        .filter((name) => name !== 'syscalls' && name !== 'arch_specific_syscall');
      const lines = names.map((name) => `@ ${name} __NR_${name}`).join('\n');
      const values = run(['-P', '-xc'], `#include <asm/unistd.h>\n${lines}\n`);
      const theirs = [...values.matchAll(/^@ (\w+) (\d+)$/gm)].map(
        ([, name, number]) => [name ?? '', Number(number)] as const,
      );
      expect(theirs.length).toBeGreaterThan(290);
      expect(theirs.filter(([name, number]) => ours.get(name) !== number)).toEqual([]);
    },
  );

  test('have one name for each number', () => {
    expect(new Set(ours.values()).size).toBe(ours.size);
    expect([...ours.values()].every((number) => Number.isInteger(number) && number >= 0)).toBe(
      true,
    );
  });

  test.each([
    'execve',
    'exit_group',
    'seccomp',
    'landlock_restrict_self',
    'openat2',
    'close_range',
  ])('include %s, which the launcher needs', (name) => expect(ours.has(name)).toBe(true));
});

test('a name of either architecture is a name', () => {
  expect(isSyscallName('fork')).toBe(true);
  expect(isSyscallName('renameat')).toBe(true);
  expect(isSyscallName('chown32')).toBe(false);
  expect(isSyscallName('')).toBe(false);
});
