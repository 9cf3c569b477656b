// Faults that the kernel makes, not a file layer of the test: a full file system, a limit on the
// size of files, a read-only mount, errors injected into system calls, and another pid namespace.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verifyTrail } from '../../src/audit/index.ts';
import { scratchPath, writeTrail } from './sample-trail.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const isSlow = ENFORCECORE_TEST_SLOW === '1';
const AUDIT = new URL('../../dist/src/audit/index.js', import.meta.url).href;
const LEVELS = ['queue', 'os', 'disk'] as const;

/** Runs a command, and says loudly when this host cannot do it. */
function run(command: string, args: readonly string[]) {
  return spawnSync(command, [...args], { encoding: 'utf8', timeout: 60_000 });
}

function lacks(what: string, isThere: boolean): boolean {
  if (!isThere) console.warn(`not tested, this host has no ${what}`);
  return !isThere;
}

const NAMESPACES = ['-r', '-m', '--', 'sh', '-c'];
const lacksMounts = lacks(
  'mounts without privileges',
  run('unshare', [...NAMESPACES, 'mount -t tmpfs none /mnt']).status === 0,
);
const lacksStrace = lacks(
  'strace',
  run('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0,
);
const lacksPidNamespaces = lacks(
  'pid namespaces',
  run('unshare', ['-r', '-p', '-f', 'true']).status === 0,
);

/**
 * A program that appends until it fails, and prints what it was told and where it ended.
 *
 * @param given.head - runs before the trail is opened
 * @param given.entries - after so many it gives up
 */
function program(given: {
  readonly path: string;
  readonly durability?: string;
  readonly entries?: number;
  readonly head?: string;
}): string {
  const file = scratchPath('program.mjs');
  const { path, durability = 'os', entries = 5_000, head = '' } = given;
  writeFileSync(
    file,
    `import { openTrail, verifyTrail } from ${JSON.stringify(AUDIT)};
import { writeFileSync, rmSync } from 'node:fs';
${head}
const path = ${JSON.stringify(path)};
const said = { code: null, message: '', acknowledged: 0, later: null, closed: null };
try {
  const trail = await openTrail({ path, durability: ${JSON.stringify(durability)} });
  try {
    for (let n = 0; n < ${entries}; n += 1) {
      await trail.append({ type: 'kill_switch', action: 'trip', reason: 'x'.repeat(1000) });
      said.acknowledged = n + 1;
    }
  } catch (error) {
    said.code = error.code;
    said.message = error.message;
  }
  said.later = await trail.append({ type: 'kill_switch', action: 'trip', reason: '' }).then(() => null, (error) => error.code);
  said.closed = await trail.close().then(() => null, (error) => error.code);
} catch (error) {
  said.code = error.code;
  said.message = error.message;
}
const { ok, exitCode, entries, problems } = await verifyTrail(path);
console.log(JSON.stringify({ ...said, ok, exitCode, entries, problems }));
`,
  );
  return file;
}

interface Said {
  readonly code: string | null;
  readonly message: string;
  readonly acknowledged: number;
  readonly later: string | null;
  readonly closed: string | null;
  readonly ok: boolean;
  readonly exitCode: number;
  readonly entries: number;
}

function saidBy({ stdout, stderr }: ReturnType<typeof run>): Said {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`no answer: ${stdout}${stderr}`);
  return JSON.parse(line) as Said;
}

const FAILED = { code: 'ENF_AUDIT_WRITE', later: 'ENF_AUDIT_WRITE', closed: 'ENF_AUDIT_WRITE' };

describe.skipIf(lacksMounts)('a file system of its own', () => {
  const mounted = (folder: string, options: string, script: string) =>
    run('unshare', [...NAMESPACES, `mount -t tmpfs -o ${options} none ${folder} && ${script}`]);

  test.each(LEVELS)('that is full fails the append at `%s` and tears nothing', (durability) => {
    const folder = scratchPath();
    mkdirSync(folder);
    const file = program({ path: join(folder, 'trail'), durability });
    const said = saidBy(mounted(folder, 'size=1m', `${process.execPath} ${file}`));
    expect(said).toMatchObject({ ...FAILED, ok: true });
    expect(said.message).toMatch(/ENOSPC|\d+ of \d+ bytes were written/);
    expect(said.acknowledged).toBeGreaterThan(300);
    // At `queue` an entry is acknowledged before it is written, which is what the level says.
    if (durability !== 'queue') expect(said.entries).toBeGreaterThan(said.acknowledged);
  });

  test('that was full takes entries again after there is room', () => {
    const folder = scratchPath();
    mkdirSync(folder);
    const path = join(folder, 'trail');
    const ballast = `writeFileSync(${JSON.stringify(join(folder, 'ballast'))}, Buffer.alloc(700_000));`;
    const full = program({ path, head: ballast });
    const free = `rmSync(${JSON.stringify(join(folder, 'ballast'))});`;
    const again = program({ path, head: free, entries: 20 });
    const node = process.execPath;
    const both = mounted(folder, 'size=1m', `${node} ${full} >/dev/null && ${node} ${again}`);
    expect(saidBy(both)).toMatchObject({ code: null, acknowledged: 20, ok: true });
  });

  test('that is read-only refuses to open a trail, and lets it be verified', async () => {
    const folder = scratchPath();
    const path = join(folder, 'trail');
    mkdirSync(folder);
    const write = program({ path, entries: 10 });
    const node = process.execPath;
    const steps = `${node} ${write} >/dev/null && mount -o remount,bind,ro ${folder} && ${node} ${write}`;
    const said = saidBy(mounted(folder, 'size=8m', steps));
    expect(said).toMatchObject({ code: 'ENF_AUDIT_OPEN', acknowledged: 0, ok: true, entries: 12 });
    expect(said.message).toContain('EROFS');
  });
});

test.each(LEVELS)('a limit on the size of files is a short write at `%s`', (durability) => {
  const path = scratchPath();
  // 100 blocks of 1,024 bytes: the kernel takes a part of the entry that crosses them.
  const file = program({ path, durability });
  const said = saidBy(run('sh', ['-c', `ulimit -f 200 && exec ${process.execPath} ${file}`]));
  expect(said).toMatchObject({ ...FAILED, ok: true });
  if (durability !== 'queue') expect(said.entries).toBeGreaterThan(said.acknowledged);
});

describe.skipIf(lacksStrace)('an error of a system call', () => {
  const injected = (path: string, durability: string, ...rules: readonly string[]) => {
    const file = program({ path, durability, entries: 50 });
    const inject = rules.flatMap((rule) => ['-e', `inject=${rule}`]);
    return run('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, process.execPath, file]);
  };

  test('EIO of fdatasync acknowledges nothing at `disk`', () => {
    const path = scratchPath();
    const said = saidBy(injected(path, 'disk', 'fdatasync:error=EIO:when=6+'));
    expect(said).toMatchObject(FAILED);
    expect(said.message).toContain('EIO');
    // strace counts for each thread of the pool.
    expect(said.acknowledged).toBeLessThan(30);
    expect(said.entries).toBeGreaterThan(said.acknowledged);
  });

  test('EIO of every fdatasync refuses to begin a trail, at the key of its digests', () => {
    const path = scratchPath();
    mkdirSync(path);
    const said = saidBy(injected(path, 'os', 'fdatasync:error=EIO'));
    expect(said).toMatchObject({ code: 'ENF_AUDIT_KEY', acknowledged: 0 });
    expect(said.message).toContain('cannot be created');
  });

  test('EROFS of link, as after a remount, fails the append and keeps what was written', async () => {
    const path = scratchPath();
    await writeTrail({ path }, 2);
    const said = saidBy(injected(path, 'disk', 'link:error=EROFS:when=4+'));
    expect(said).toMatchObject({ later: 'ENF_AUDIT_WRITE', ok: true });
    expect(said.message).toContain('EROFS');
  });
});

test.skipIf(!isSlow || lacksPidNamespaces)(
  'the lock of a process that died in another pid namespace is kept until an operator breaks it',
  { timeout: 120_000 },
  async () => {
    const path = scratchPath();
    const file = scratchPath('holder.mjs');
    writeFileSync(
      file,
      `import { openTrail } from ${JSON.stringify(AUDIT)};
const trail = await openTrail({ path: ${JSON.stringify(path)} });
trail.append({ type: 'kill_switch', action: 'trip', reason: '' });
process.kill(process.pid, 'SIGKILL');`,
    );
    // Not as pid 1 of the namespace, which no signal of its own kills.
    const script = `${process.execPath} ${file}; true`;
    run('unshare', ['-r', '-p', '-f', '--', 'sh', '-c', script]);
    const waiting = saidBy(run(process.execPath, [program({ path, entries: 1 })]));
    expect(waiting).toMatchObject({ code: 'ENF_AUDIT_LOCK', acknowledged: 0, ok: true });
    const recover = ['bin/enforcecore.js', 'audit', 'recover', path, '--break-lock'];
    expect(run(process.execPath, recover).stderr).toContain('its lock was broken');
    await writeTrail({ path }, 1);
    expect(await verifyTrail(path)).toMatchObject({ ok: true, entries: 4 });
  },
);
