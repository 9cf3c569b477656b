import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFileLayer, openTrail, recoverTrail, verifyTrail } from '../../src/audit/index.ts';
import { describeOwner, isGone, type LockOwner, parseOwner } from '../../src/audit/lock-owner.ts';
import { TrailLock } from '../../src/audit/trail-lock.ts';
import { decision, scratchPath, writeTrail } from './sample-trail.ts';

function newDirectory(): string {
  const path = scratchPath();
  mkdirSync(path);
  return path;
}

const lockOf = (path: string) => new TrailLock(path, nodeFileLayer);
const self = describeOwner();

/** A lock as a process left it that ended without giving it back. */
function leaveLock(path: string, owner: Partial<LockOwner>): void {
  const file = join(path, 'lock-owner-left');
  writeFileSync(file, JSON.stringify({ ...describeOwner(), ...owner }));
  linkSync(file, join(path, 'lock'));
}

async function pidOfEndedProcess(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid as number;
}

test('one of two has the lock', () => {
  const path = newDirectory();
  const [a, b] = [lockOf(path), lockOf(path)];
  expect(a.tryAcquire()).toBe(true);
  expect(b.tryAcquire()).toBe(false);
  a.release();
  expect(b.tryAcquire()).toBe(true);
  a.release();
  expect(lockOf(path).tryAcquire()).toBe(false);
  b.close();
  a.close();
});

test('waits for the lock, and asks its owner for a pause', async () => {
  const path = newDirectory();
  const [a, b] = [lockOf(path), lockOf(path)];
  a.tryAcquire();
  const waiting = b.acquire(5_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(a.isWanted()).toBe(true);
  a.release();
  await waiting;
  expect(b.isHeld).toBe(true);
  expect(b.isWanted()).toBe(false);
});

test('gives up on a living owner and names it', async () => {
  const path = newDirectory();
  lockOf(path).tryAcquire();
  await expect(lockOf(path).acquire(30)).rejects.toMatchObject({
    code: 'ENF_AUDIT_LOCK',
    message: expect.stringContaining(`process ${process.pid} has held the lock`),
  });
});

test('takes the lock of a process that is gone', async () => {
  const path = newDirectory();
  leaveLock(path, { pid: await pidOfEndedProcess() });
  expect(lockOf(path).tryAcquire()).toBe(true);
});

test('takes the lock of a process that was gone before this boot', () => {
  const path = newDirectory();
  leaveLock(path, { boot: 'another-boot' });
  expect(lockOf(path).tryAcquire()).toBe(self.boot !== null);
});

test('takes the lock of a process whose id was given to another', () => {
  const path = newDirectory();
  leaveLock(path, { start: '1' });
  expect(lockOf(path).tryAcquire()).toBe(self.start !== null);
});

test.each([
  ['on another machine', { machine: 'other', boot: 'other', pid: 4_194_303 }],
  ['in another process namespace', { pidNamespace: 'pid:[1]', pid: 4_194_303 }],
])('never takes the lock of an owner %s', async (_, owner) => {
  const path = newDirectory();
  leaveLock(path, owner);
  expect(lockOf(path).tryAcquire()).toBe(false);
});

test.each(['', 'garbage', '{}', '{"pid":0}', `{"pid":${process.pid}}`])(
  'waits for an owner that says %j',
  (text) => {
    const path = newDirectory();
    writeFileSync(join(path, 'lock'), text);
    expect(lockOf(path).tryAcquire()).toBe(false);
  },
);

test('an owner is gone only when that is certain', () => {
  expect(isGone(self, self)).toBe(false);
  expect(isGone({ ...self, pid: 1, start: null }, self)).toBe(false);
  expect(isGone({ ...self, boot: null }, self)).toBe(false);
  expect(isGone({ ...self, machine: 'x', boot: 'y' }, self)).toBe(false);
  expect(parseOwner(JSON.stringify({ ...self, extra: 1 }))).toBeNull();
});

test('of many that find a dead lock one gets it', async () => {
  const pid = await pidOfEndedProcess();
  for (let round = 0; round < 20; round += 1) {
    const path = newDirectory();
    leaveLock(path, { pid });
    const locks = Array.from({ length: 8 }, () => lockOf(path));
    expect(locks.filter((lock) => lock.tryAcquire())).toHaveLength(1);
  }
});

test('does not remove a lock that was renewed while it was looked at', async () => {
  const path = newDirectory();
  const pid = await pidOfEndedProcess();
  leaveLock(path, { pid });
  let calls = 0;
  const lock: TrailLock = new TrailLock(path, {
    ...nodeFileLayer,
    linkSync: (from, to) => {
      calls += 1;
      // Another supervisor takes the dead lock over between the look and the takeover.
      if (to.endsWith('lock-takeover')) lockOf(path).tryAcquire();
      nodeFileLayer.linkSync(from, to);
    },
  });
  expect(lock.tryAcquire()).toBe(false);
  expect(calls).toBeGreaterThan(1);
});

test('a lock whose owner may be alive is broken by an operator only', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  leaveLock(path, { machine: 'other' });
  writeFileSync(join(path, 'lock-takeover'), '');
  const report = await recoverTrail({ path, breakLock: true });
  expect(report.brokenLock).toMatchObject({ machine: 'other' });
  expect(await verifyTrail(path)).toMatchObject({ ok: true });
});

test('what killed supervisors left behind is removed at the next start', async () => {
  const path = scratchPath();
  await writeTrail({ path }, 1);
  const { token, ...rest } = describeOwner();
  const left = { ...rest, token, pid: await pidOfEndedProcess() };
  writeFileSync(join(path, `lock-owner-${token}`), JSON.stringify(left));
  writeFileSync(join(path, `checkpoint-${token}-1.tmp`), 'half');
  const alive = await openTrail({ path });
  const own = readdirSync(path).find((name) => name.startsWith('lock-owner-')) as string;
  writeFileSync(join(path, `checkpoint-${own.slice('lock-owner-'.length)}-9.tmp`), 'under way');
  await writeTrail({ path }, 1);
  const names = readdirSync(path).sort();
  expect(names.filter((name) => name.includes(token))).toEqual([]);
  expect(names).toContain(own);
  expect(names.filter((name) => name.endsWith('.tmp'))).toHaveLength(1);
  await alive.append(decision());
  await alive.close();
});

test('the owner file says enough to find the process', () => {
  const path = newDirectory();
  const lock = lockOf(path);
  lock.tryAcquire();
  const owner = parseOwner(readFileSync(join(path, 'lock'), 'utf8'));
  expect(owner).toEqual(lock.owner);
  expect(owner).toMatchObject({ pid: process.pid });
});
