import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CallIdentities, callIdRange, isKernelRoot } from '../../src/isolation/call-identity.ts';

const WHOLE = '         0          0 4294967295\n';
const tables = (extra: Partial<Parameters<typeof callIdRange>[0]> = {}) => ({
  uidMap: WHOLE,
  gidMap: WHOLE,
  subuid: '',
  subgid: '',
  kernelUid: null,
  ...extra,
});

test.each([
  ['the host', 0, WHOLE, true],
  ['an ordinary user', 1000, WHOLE, false],
  ['root of a rootless container', 0, '0 1000 1\n1 100000 65536\n', false],
  ['root of a remapped container', 0, '0 100000 65536\n', false],
  ['an id that is the host’s root under another number', 5, '5 0 1\n', true],
  ['an id that is not mapped', 7, '0 0 1\n', false],
  ['a map that cannot be read', 0, '', false],
])('judges root by the id outside: %s', (_, uid, map, expected) => {
  expect(isKernelRoot(uid, { uidMap: map, kernelUid: null })).toBe(expected);
});

test.each([
  ['an ordinary user of a container whose 0 is that user outside', 1000, '1000 0 1\n', 65_534],
  ['root of a container in a container', 0, '0 0 1\n', 65_534],
])('judges root by the owner of the kernel’s files first: %s', (_, uid, uidMap, kernelUid) => {
  expect(isKernelRoot(uid, { uidMap, kernelUid: null })).toBe(true);
  expect(isKernelRoot(uid, { uidMap, kernelUid })).toBe(false);
});

describe('the range of ids for calls', () => {
  test('lies far above everybody’s', () => {
    expect(callIdRange(tables())).toEqual({ first: 1_879_048_192, count: 16_777_216 });
  });

  test('avoids ids that are handed out to users', () => {
    const subuid = '# comment\nalice:100000:65536\nbob:1879048000:1000\n';
    expect(callIdRange(tables({ subuid }))).toEqual({ first: 4_294_967_295 - 4096, count: 4096 });
    const subgid = 'alice:4294000000:967295\n';
    expect(callIdRange(tables({ subuid, subgid }))).toEqual({
      first: 4_294_000_000 - 4096,
      count: 4096,
    });
  });

  test('is the top of a small map, of users and groups alike', () => {
    expect(callIdRange(tables({ uidMap: '0 0 200000\n' }))).toEqual({
      first: 195_904,
      count: 4096,
    });
    expect(callIdRange(tables({ gidMap: '0 0 150000\n' }))).toEqual({
      first: 145_904,
      count: 4096,
    });
  });

  test.each([
    [
      'a container with the usual 65536 ids',
      { uidMap: '0 100000 65536\n', gidMap: '0 100000 65536\n' },
    ],
    ['one id', { uidMap: '0 1000 1\n' }],
    ['a map that is not there', { uidMap: '' }],
    [
      'users and groups without ids in common',
      { uidMap: '0 0 100000\n', gidMap: '200000 0 100000\n' },
    ],
    ['ids that are all handed out', { uidMap: '0 0 200000\n', subuid: 'a:1:300000\n' }],
  ])('is refused with a cause in %s', (_, extra) => {
    expect(callIdRange(tables(extra))).toMatchObject({
      cause: expect.any(String),
      remedy: expect.any(String),
    });
  });

  test('is mapped and nobody’s, whatever the tables say', () => {
    const number = fc.nat(4_294_967_295);
    const range = fc.record({ first: number, count: number });
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 3 }),
        fc.array(range, { maxLength: 3 }),
        (maps, taken) => {
          const text = maps.map(({ first, count }) => `${first} 0 ${count}\n`).join('');
          const subuid = taken.map(({ first, count }) => `u:${first}:${count}\n`).join('');
          const result = callIdRange(tables({ uidMap: text, gidMap: text, subuid }));
          if ('cause' in result) return;
          const last = result.first + result.count - 1;
          expect(result.first).toBeGreaterThanOrEqual(65_536);
          expect(
            maps.some(({ first, count }) => result.first >= first && last < first + count),
          ).toBe(true);
          for (const { first, count } of taken)
            expect(last < first || result.first >= first + count).toBe(true);
        },
      ),
    );
  });
});

describe('ids of calls', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ids-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('are never given twice, and are free again after they are released', () => {
    const identities = new CallIdentities({ first: 100_000, count: 8 }, join(folder, 'ids'));
    const other = new CallIdentities({ first: 100_000, count: 8 }, join(folder, 'ids'));
    const taken = new Set<number>();
    expect(() => {
      for (;;) taken.add((taken.size % 2 === 0 ? identities : other).take());
    }).toThrow(expect.objectContaining({ code: 'ENF_ISOLATION_UNAVAILABLE' }));
    // 64 attempts at 8 ids find the last one in all but a few of 10,000 runs.
    expect(taken.size).toBeGreaterThanOrEqual(7);
    for (const id of taken) identities.release(id);
    expect(taken).toContain(identities.take());
  });

  test('are kept in a folder that no other user can look into', () => {
    const path = join(folder, 'ids');
    const id = new CallIdentities({ first: 100_000, count: 8 }, path).take();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(readdirSync(path)).toEqual([`${id}`]);
    expect(readFileSync(join(path, `${id}`), 'utf8')).toContain(` ${process.pid} `);
  });

  test('of a supervisor that was killed are found', () => {
    const script = `import { CallIdentities } from '${resolve('dist/src/isolation/call-identity.js')}';
      console.log(new CallIdentities({ first: 100000, count: 8 }, '${folder}').take());
      process.kill(process.pid, 'SIGKILL')`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    const identities = new CallIdentities({ first: 100_000, count: 8 }, folder);
    identities.take();
    writeFileSync(join(folder, 'README'), '');
    writeFileSync(join(folder, '5'), '1 7 9\n');
    expect(identities.orphaned()).toEqual([Number(stdout)]);
  });

  test('are not swept when they are given back while the folder is read', () => {
    const identities = new CallIdentities({ first: 100_000, count: 8 }, folder);
    // Listed, but not there any more when it is read.
    symlinkSync(join(folder, 'gone'), join(folder, '100003'));
    expect(identities.orphaned()).toEqual([]);
  });

  test('are not swept outside their range, whatever a file says', () => {
    const identities = new CallIdentities({ first: 100_000, count: 8 }, folder);
    const here = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
    for (const id of ['1000', '100007', '100008']) {
      writeFileSync(join(folder, id), `${here} ${process.pid} 1\n`);
    }
    expect(identities.orphaned()).toEqual([100_007]);
  });

  test('report what keeps them from being taken', () => {
    const identities = new CallIdentities({ first: 100_000, count: 8 }, join(folder, 'ids'));
    rmSync(join(folder, 'ids'), { recursive: true });
    expect(() => identities.take()).toThrow('ENOENT');
  });
});
