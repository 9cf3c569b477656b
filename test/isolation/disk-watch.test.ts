import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LimitKind } from '../../src/call.ts';
import { pauseAfterWalk, prepareDiskWatch } from '../../src/isolation/disk-watch.ts';
import { probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { LinuxRunner } from '../../src/isolation/linux-runner.ts';
import type { RunReport } from '../../src/isolation/runner.ts';
import { tool } from '../escape/attempt.ts';
import { confinement, makeJob } from '../fixtures/job.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

const MB = 2 ** 20;
const LIMIT = 16 * MB;

const host = await probeLinuxHost();
if ('cause' in host) throw new Error(host.cause);

let folder = '';
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'watched-')));
  chmodSync(folder, 0o777);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['hardened', 'isolated'] as const)('a write path at %s', (tier) => {
  if (tier === 'isolated' && typeof host.bubblewrap !== 'string') {
    requireLayer('bwrap');
    test.skip('does not work on this host', () => {});
    return;
  }
  const runner = new LinuxRunner(tier, host);
  afterAll(() => runner.close());

  /** Ends by itself after a second, when nobody ends it. */
  async function run(
    code: string,
    diskBytes: number = LIMIT,
    write: readonly string[] = [folder],
  ): Promise<RunReport> {
    const full = `const fill = (file, megabytes) => fs.writeFileSync(file, Buffer.alloc(megabytes * 2 ** 20, 1));
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)); ${code}`;
    const job = await makeJob(tool('run-code.mjs'), { code: full, folder, token: 'none' });
    const { limits, filesystem, isolation } = confinement();
    return runner.run({
      ...job,
      confinement: {
        ...job.confinement,
        network: 'none',
        limits: { ...limits, diskBytes },
        filesystem: { ...filesystem, write },
        isolation: { ...isolation, profile: 'strict', exec: 'none' },
        explicit: new Set(['resource_limits.max_disk_mb', 'filesystem']),
      },
    });
  }
  const OVER = { status: 'disk-limit', code: 'ENF_LIMIT_DISK', limit: 'disk' };

  test.each([
    ['one large file', `fill(a.folder + '/file', 40); await wait(4000)`],
    ['many files', `for (let n = 0; n < 40; n += 1) fill(a.folder + '/' + n, 1); await wait(4000)`],
    [
      'very many small files',
      `for (let n = 0; n < 6000; n += 1) fs.writeFileSync(a.folder + '/' + n, 'x'); await wait(4000)`,
    ],
    [
      'files in folders of its own',
      `let at = a.folder; for (let n = 0; n < 20; n += 1) { at += '/d'; fs.mkdirSync(at); fill(at + '/f', 2) } await wait(4000)`,
    ],
    [
      'a file that has no name any more',
      `const d = fs.openSync(a.folder + '/file', 'w'); fs.unlinkSync(a.folder + '/file');
       fs.writeSync(d, Buffer.alloc(40 * 2 ** 20, 1)); await wait(4000); fs.closeSync(d)`,
    ],
    [
      'a growing file',
      `const d = fs.openSync(a.folder + '/file', 'a'); for (let n = 0; n < 60; n += 1) { fs.writeSync(d, Buffer.alloc(2 ** 20, 1)); await wait(20) } await wait(4000)`,
    ],
  ])('that gets too much by %s ends the call', async (_how, code) => {
    const { end, layers } = await run(code);
    expect(end).toMatchObject({ ...OVER, message: 'the tool wrote more than 16 MB' });
    expect(layers).toContain('disk-watched');
    // The control: without the limit the same tool ends well.
    if (_how === 'one large file')
      expect((await run(code.replace('4000', '300'), Number.POSITIVE_INFINITY)).end).toEqual({
        status: 'ok',
        value: undefined,
      });
  });

  test.each([
    [
      'a sparse file, which takes no room',
      `fs.truncateSync((fs.writeFileSync(a.folder + '/s', ''), a.folder + '/s'), 2 ** 33)`,
    ],
    [
      'one file under many names',
      `fill(a.folder + '/f', 8); for (let n = 0; n < 50; n += 1) fs.linkSync(a.folder + '/f', a.folder + '/' + n)`,
    ],
    ['less than the limit', `fill(a.folder + '/f', 12)`],
    [
      'what it takes away again in time',
      `for (let n = 0; n < 6; n += 1) { fill(a.folder + '/f', 6); fs.rmSync(a.folder + '/f'); await wait(60) }`,
    ],
  ])('may get %s', async (_what, code) => {
    const { end } = await run(`${code}; await wait(400); return 'done'`);
    expect(end).toEqual({ status: 'ok', value: 'done' });
  });

  test('that was full before is no fault of the call', async () => {
    writeFileSync(join(folder, 'old'), Buffer.alloc(40 * MB, 1), { mode: 0o666 });
    chmodSync(join(folder, 'old'), 0o666);
    expect((await run(`await wait(400); return 1`)).end).toEqual({ status: 'ok', value: 1 });
    const { end } = await run(`fill(a.folder + '/new', 40); await wait(4000)`);
    expect(end).toMatchObject(OVER);
  });

  test('that gets too much just before the result is a breach, too: what was written stays', async () => {
    const { end } = await run(`fill(a.folder + '/file', 40); return 'done'`);
    expect(end).toMatchObject(OVER);
  });

  const unbounded = tier === 'hardened' ? test : test.skip;
  unbounded('the scratch folder is counted, where it has no size of its own', async () => {
    const { end } = await run(
      `for (let n = 0; n < 40; n += 1) fill('f' + n, 1); await wait(4000)`,
      LIMIT,
      [],
    );
    expect(end).toMatchObject(OVER);
    const fine = await run(`fill('f', 8); await wait(400); return 1`, LIMIT, []);
    expect(fine).toMatchObject({ end: { status: 'ok', value: 1 } });
    expect(fine.layers).toContain('disk-watched');
  });

  const bounded = tier === 'isolated' ? test : test.skip;
  bounded('the scratch folder has a size of its own and is not counted', async () => {
    const code = `try { for (let n = 0; n < 40; n += 1) fill('f' + n, 1) } catch (error) { return error.code }`;
    const { end, layers } = await run(code, LIMIT, []);
    expect(end).toEqual({ status: 'ok', value: 'ENOSPC' });
    expect(layers).not.toContain('disk-watched');
  });
});

describe('a watch of disks', () => {
  const never = (): never => {
    throw new Error('it must not be called');
  };
  const start = {
    pids: async () => [process.pid],
    ignored: new Set<string>(),
    onBreach: never as (limit: LimitKind) => void,
    onBlind: never as (cause: unknown) => void,
  };

  test('that cannot see who writes tells, and then is silent', async () => {
    const watch = await prepareDiskWatch({ paths: [folder], scratch: null, bytesMax: MB });
    const cause = await new Promise((resolve) => {
      watch.start({ ...start, pids: () => Promise.reject(new Error('blind')), onBlind: resolve });
    });
    expect(cause).toMatchObject({ message: 'blind' });
  });

  test('finds at its end what was written since the last look', async () => {
    const watch = await prepareDiskWatch({ paths: [folder], scratch: null, bytesMax: MB });
    const looks = watch.start(start);
    writeFileSync(join(folder, 'file'), Buffer.alloc(2 * MB, 1));
    expect(looks.stop()).toBe('disk');
    rmSync(join(folder, 'file'));
    const again = watch.start(start);
    expect(again.stop()).toBeNull();
  });

  test('holds against the calls of one worker what they leave together', async () => {
    const watch = await prepareDiskWatch({ paths: [], scratch: folder, bytesMax: 2 * MB });
    const add = (name: string): void =>
      writeFileSync(join(folder, name), Buffer.alloc(1.5 * MB, 1));
    const first = watch.start(start);
    add('one');
    expect(first.stop()).toBeNull();
    const second = watch.start(start);
    add('two');
    expect(second.stop()).toBe('disk');
  });

  test('takes paths that it can no longer count for a breach', async () => {
    const watch = await prepareDiskWatch({ paths: [folder], scratch: null, bytesMax: MB });
    const breach = new Promise((resolve) => {
      watch.start({ ...start, onBreach: resolve });
    });
    mkdirSync(join(folder, ...Array.from({ length: 130 }, () => 'd')), { recursive: true });
    expect(await breach).toBe('disk');
    expect(watch.start(start).stop()).toBe('disk');
  });

  test('is not begun on paths that cannot be counted', async () => {
    mkdirSync(join(folder, ...Array.from({ length: 130 }, () => 'd')), { recursive: true });
    const watch = prepareDiskWatch({ paths: [folder], scratch: null, bytesMax: MB });
    await expect(watch).rejects.toMatchObject({
      code: 'ENF_ISOLATION_UNAVAILABLE',
      details: {
        cause: expect.stringContaining('folders too deep'),
        remedy: expect.stringContaining('max_disk_mb: unlimited'),
      },
    });
  });

  test('walks less often where a walk takes long, but not seldom', () => {
    expect([0, 10, 60, 100, 10_000].map(pauseAfterWalk)).toEqual([50, 100, 600, 1000, 2000]);
  });
});
