import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

interface Packed {
  readonly files: readonly { readonly path: string; readonly mode: number }[];
  readonly unpackedSize: number;
}

const words = ['pack', '--dry-run', '--json', '--ignore-scripts'];
const [packed] = JSON.parse(
  execFileSync('npm', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
) as [Packed];
const paths = packed.files.map(({ path }) => path);
const modules = ['src', 'worker'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.slice(0, -'.ts'.length)}`),
);

describe('the packed package', () => {
  test('holds these files besides what is compiled, and no others', () => {
    const inFolder = (folder: string) => readdirSync(folder).map((name) => `${folder}/${name}`);
    const expected = [
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'],
      ...['bin/enforcecore.js', ...inFolder('policies'), ...inFolder('sandbox-profiles')],
    ];
    expect(paths.filter((path) => !path.startsWith('dist/')).sort()).toEqual(expected.sort());
  });

  test('holds a module and its declarations for each source file', () => {
    const expected = modules.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
    expect(paths).toEqual(expect.arrayContaining(expected));
  });

  test('holds what workers start as, bundled', () => {
    const bundled = ['process-entry', 'network-bridge-entry', 'network-bridge', 'brokered-fetch'];
    expect(paths).toEqual(expect.arrayContaining(bundled.map((name) => `dist/worker/${name}.cjs`)));
  });

  test('holds modules and declarations only: no maps without their sources, no tests', () => {
    const compiled = paths.filter((path) => path.startsWith('dist/'));
    expect(compiled.filter((path) => !/^dist\/(src|worker)\/.*\.(c?js|d\.ts)$/.test(path))).toEqual(
      [],
    );
  });

  test('has an executable command, and stays small', () => {
    expect(paths).toContain('bin/enforcecore.js');
    expect(readFileSync('bin/enforcecore.js', 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(packed.unpackedSize).toBeLessThan(4_000_000);
  });
});
