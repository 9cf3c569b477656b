import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openLauncher } from '../../src/isolation/launcher.ts';
import { LAUNCHER_IMAGES } from '../../src/isolation/launcher-images.ts';
import { isRoot, lacks } from './launched-program.ts';

const work = mkdtempSync(join(tmpdir(), 'launcher-test-'));
afterAll(() => rmSync(work, { recursive: true }));

const TOOLCHAINS = [
  { architecture: 'x64', tools: '/usr/bin/x86_64-linux-gnu-' },
  { architecture: 'arm64', tools: '/usr/bin/aarch64-linux-gnu-' },
] as const;

describe.each(TOOLCHAINS)('the launcher for $architecture', ({ architecture, tools }) => {
  const image = Buffer.from(LAUNCHER_IMAGES[architecture].base64, 'base64');

  test.skipIf(lacks('binutils', existsSync(`${tools}as`)))(
    'is what its source assembles to',
    () => {
      const object = join(work, `${architecture}.o`);
      const binary = join(work, `${architecture}.bin`);
      const source = `worker/launcher/launcher-${architecture}.s`;
      execFileSync(`${tools}as`, ['-I', 'worker/launcher', source, '-o', object]);
      execFileSync(`${tools}objcopy`, ['-O', 'binary', '-j', '.text', object, binary]);
      expect(readFileSync(binary).toString('hex')).toBe(image.toString('hex'));
    },
  );

  test('has the digest that is checked before it runs', () => {
    const digest = createHash('sha256').update(image).digest('hex');
    expect(digest).toBe(LAUNCHER_IMAGES[architecture].sha256);
  });

  test('asks for a stack that is not executable', () => {
    const PT_GNU_STACK = 0x6474e551;
    const headers = [0, 1, 2].map((index) => 64 + index * 56);
    const stack = headers.find((at) => image.readUInt32LE(at) === PT_GNU_STACK) ?? 0;
    expect(image.readUInt32LE(stack + 4)).toBe(6);
  });
});

describe('openLauncher', () => {
  test('leaves nothing on disk', () => {
    const folder = mkdtempSync(join(work, 'private-'));
    const launcher = openLauncher({ folders: [folder] });
    expect(readdirSync(folder)).toEqual([]);
    launcher.close();
  });

  test('opens a descriptor that the stdio of a child cannot take the place of', () => {
    const launcher = openLauncher();
    expect(launcher.descriptor).toBeGreaterThanOrEqual(32);
    launcher.verify();
    launcher.close();
  });

  test('notices when the open file is no longer what was checked', () => {
    const launcher = openLauncher({ folders: [work] });
    chmodSync(launcher.path, 0o755);
    const writable = openSync(launcher.path, 'r+');
    writeSync(writable, 'x', 200);
    expect(() => launcher.verify()).toThrow(/the launcher's SHA-256 is `[0-9a-f]{64}`, expected/);
    closeSync(writable);
    launcher.close();
  });

  test('passes over a folder it cannot use', () => {
    const launcher = openLauncher({ folders: [join(work, 'absent'), work] });
    launcher.verify();
    launcher.close();
  });

  test.skipIf(lacks('root', isRoot))('passes over a folder that is mounted noexec', () => {
    const folder = mkdtempSync(join(work, 'noexec-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'none', folder]);
    try {
      expect(() => openLauncher({ folders: [folder] })).toThrow(
        expect.objectContaining({
          details: { attempts: [{ folder, cause: expect.stringContaining('EACCES') }] },
        }),
      );
      openLauncher({ folders: [folder, work] }).close();
    } finally {
      execFileSync('umount', [folder]);
    }
  });

  test('says for each folder why it could not be used', () => {
    const file = join(work, 'file');
    writeFileSync(file, '');
    expect(() => openLauncher({ folders: [join(work, 'absent'), file] })).toThrow(
      expect.objectContaining({
        code: 'ENF_ISOLATION_UNAVAILABLE',
        details: {
          attempts: [
            { folder: join(work, 'absent'), cause: expect.stringContaining('ENOENT') },
            { folder: file, cause: expect.stringContaining('ENOTDIR') },
          ],
        },
      }),
    );
  });

  test('refuses an architecture it has no program for', () => {
    expect(() => openLauncher({ architecture: 'riscv64' })).toThrow(/x64 and arm64, got `riscv64`/);
  });

  test('does not keep a program of another architecture', () => {
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    expect(() => openLauncher({ architecture: other, folders: [work] })).toThrow(/runs from none/);
    expect(readdirSync(work)).not.toContainEqual(expect.stringMatching(/^enforcecore-/));
  });
});
