import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createKillSwitch,
  type KillSwitch,
  type KillSwitchChange,
  type KillSwitchOptions,
} from '../../src/usage/index.ts';

let folder: string;
let file: string;
let open: KillSwitch[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kill-'));
  file = join(folder, 'KILL');
});
afterEach(() => {
  for (const each of open) each.close();
  open = [];
  rmSync(folder, { recursive: true, force: true });
});

function createSwitch(options: KillSwitchOptions = {}): KillSwitch {
  const created = createKillSwitch(options);
  open.push(created);
  return created;
}

const nextChange = (killSwitch: KillSwitch): Promise<KillSwitchChange> =>
  new Promise((resolve) => {
    const stop = killSwitch.onChange((change) => {
      stop();
      resolve(change);
    });
  });

describe('in one process', () => {
  test('starts untripped, trips with a reason, resets with an actor', () => {
    const killSwitch = createSwitch();
    const changes: KillSwitchChange[] = [];
    killSwitch.onChange((change) => changes.push(change));
    expect(killSwitch.state).toEqual({ tripped: false });
    killSwitch.trip('too many errors');
    killSwitch.trip('again');
    expect(killSwitch.state).toEqual({ tripped: true, reason: 'too many errors' });
    killSwitch.reset('operator');
    killSwitch.reset('operator');
    expect(changes).toEqual([
      { tripped: true, reason: 'too many errors', by: 'call' },
      { tripped: false, by: 'operator' },
    ]);
  });

  test('a listener that throws stops neither the switch nor the other listeners', () => {
    const killSwitch = createSwitch();
    let heard = 0;
    killSwitch.onChange(() => {
      throw new Error('bad listener');
    });
    killSwitch.onChange(() => {
      heard += 1;
    });
    expect(() => killSwitch.trip('x')).toThrow(AggregateError);
    expect([killSwitch.state.tripped, heard]).toEqual([true, 1]);
  });

  test('a reason is one printable line', () => {
    const killSwitch = createSwitch();
    killSwitch.trip(`bad\n\u001b[2Jthing${'x'.repeat(5000)}`);
    expect(killSwitch.state.reason).toMatch(/^bad \[2Jthingx+$/);
    expect(killSwitch.state.reason?.length).toBeLessThanOrEqual(1024);
  });

  test('no longer calls a listener that unsubscribed', () => {
    const killSwitch = createSwitch();
    let heard = 0;
    killSwitch.onChange(() => {
      heard += 1;
    })();
    killSwitch.trip('x');
    expect(heard).toBe(0);
  });
});

describe('by file', () => {
  test('present at the start means tripped', () => {
    writeFileSync(file, 'from the operator\n');
    expect(createSwitch({ file }).state).toEqual({ tripped: true, reason: 'from the operator' });
  });

  test('appearing later trips, disappearing resets', async () => {
    const killSwitch = createSwitch({ file });
    const tripped = nextChange(killSwitch);
    writeFileSync(file, 'stop');
    expect(await tripped).toMatchObject({ tripped: true, by: 'file' });
    const reset = nextChange(killSwitch);
    rmSync(file);
    expect(await reset).toEqual({ tripped: false, by: 'file' });
  });

  test('a trip here is a trip in another process that watches the file', async () => {
    const here = createSwitch({ file });
    const there = createSwitch({ file });
    const tripped = nextChange(there);
    here.trip('shared');
    expect(readFileSync(file, 'utf8')).toBe('shared\n');
    expect(await tripped).toMatchObject({ tripped: true, reason: 'shared' });
    const reset = nextChange(there);
    here.reset('operator');
    expect(existsSync(file)).toBe(false);
    expect(await reset).toMatchObject({ tripped: false });
  });

  test('a look at the file that began before a trip does not undo the trip', async () => {
    const killSwitch = createSwitch({ file });
    // The poll looks every 100 ms; a trip at any moment of a look must hold.
    for (let round = 0; round < 30; round++) {
      killSwitch.trip('now');
      await new Promise((resolve) => setTimeout(resolve, 7 + (round % 5)));
      expect(killSwitch.state.tripped, `round ${round}`).toBe(true);
      killSwitch.reset('operator');
    }
  });

  test.each<[string, () => void]>([
    ['a folder', () => mkdirSync(file)],
    ['a dangling link', () => symlinkSync('/nowhere/at/all', file)],
    ['a link to a secret', () => symlinkSync('/etc/passwd', file)],
  ])('%s in its place counts as present and is not quoted', (_, make) => {
    make();
    expect(createSwitch({ file }).state).toEqual({
      tripped: true,
      reason: 'the kill file is present and cannot be read',
    });
  });

  test('a path below a file counts as present: what cannot be looked at is no all-clear', () => {
    writeFileSync(join(folder, 'plain'), '');
    expect(createSwitch({ file: join(folder, 'plain', 'KILL') }).state.tripped).toBe(true);
  });

  test('a trip that cannot be written still holds, and the missing file does not undo it', async () => {
    const killSwitch = createSwitch({ file: join(folder, 'gone', 'KILL') });
    killSwitch.trip('no folder');
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(killSwitch.state).toEqual({ tripped: true, reason: 'no folder' });
  });

  test('a reset that cannot remove the file fails and leaves it tripped', () => {
    mkdirSync(file);
    const killSwitch = createSwitch({ file });
    expect(() => killSwitch.reset('operator')).toThrow('cannot be removed');
    expect(killSwitch.state.tripped).toBe(true);
  });
});

describe('by signal', () => {
  test('trips on SIGUSR2 when asked to, and stops listening on close', async () => {
    const before = process.listenerCount('SIGUSR2');
    const killSwitch = createSwitch({ signal: true });
    const tripped = nextChange(killSwitch);
    process.kill(process.pid, 'SIGUSR2');
    expect(await tripped).toEqual({ tripped: true, reason: 'SIGUSR2', by: 'signal' });
    killSwitch.close();
    expect(process.listenerCount('SIGUSR2')).toBe(before);
  });

  test('leaves the signal alone otherwise', () => {
    const before = process.listenerCount('SIGUSR2');
    createSwitch();
    expect(process.listenerCount('SIGUSR2')).toBe(before);
  });
});
