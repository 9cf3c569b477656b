import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileSessions } from '../../src/usage/file-sessions.ts';
import { fileStore, memoryStore, type SessionHistory } from '../../src/usage/index.ts';
import type { SessionStore } from '../../src/usage/session-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sessions-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let calls = 0;
function entryOf(tool: string, session = 's', now = 0) {
  calls += 1;
  return { session, tool, callId: `call-${calls}`, now, isRuled: true };
}

interface Seen {
  readonly effect: 'allow' | 'deny';
  readonly history: SessionHistory;
  readonly now: number;
}

/** Enters with a judge that allows, and says what it saw. */
function enter(store: SessionStore, entry: ReturnType<typeof entryOf>, isAllowed = true) {
  return store.enterSession(
    entry,
    (history, now): Seen => ({ effect: isAllowed ? 'allow' : 'deny', history, now }),
  );
}

const look = async (store: SessionStore, session = 's') =>
  (await enter(store, entryOf('look', session), false)).history;

describe.each<[string, () => SessionStore]>([
  ['memory', () => memoryStore()],
  ['a folder', () => fileStore(folder)],
])('sessions in %s', (_, open) => {
  test('show a call that runs, and how it ended', async () => {
    const store = open();
    const first = entryOf('read_secret');
    expect((await enter(store, first)).history.tools.size).toBe(0);
    expect((await look(store)).tools.get('read_secret')).toEqual({ running: 1 });
    await store.leaveSession(first.callId, 'failed', 5);
    const { tools } = await look(store);
    expect(tools.get('read_secret')).toEqual({ running: 0, ranAt: expect.any(Number) });
    const second = entryOf('read_secret');
    await enter(store, second);
    await store.leaveSession(second.callId, 'ok', 9);
    expect((await look(store)).tools.get('read_secret')).toEqual({
      running: 0,
      ranAt: expect.any(Number),
      succeededAt: expect.any(Number),
    });
  });

  test('forget a call that was refused, denied, or left twice', async () => {
    const store = open();
    await enter(store, entryOf('a'), false);
    const refused = entryOf('b');
    await enter(store, refused);
    await store.leaveSession(refused.callId, 'refused', 1);
    await store.leaveSession(refused.callId, 'ok', 2);
    await store.leaveSession('unknown', 'ok', 3);
    const { tools } = await look(store);
    expect(tools.get('a')).toBeUndefined();
    expect(tools.get('b')).toEqual({ running: 0 });
  });

  test('are apart by their whole name', async () => {
    const store = open();
    await enter(store, entryOf('x', '["p",null,"a","s"]'));
    expect((await look(store, '["p",null,"a",null]')).tools.size).toBe(0);
    expect((await look(store, '../s')).tools.size).toBe(0);
  });

  test('let one of many parallel calls pass a judge that wants to be alone', async () => {
    const store = open();
    const verdicts = await Promise.all(
      Array.from({ length: 50 }, () =>
        store.enterSession(entryOf('once'), ({ tools }) => ({
          effect: tools.size === 0 ? ('allow' as const) : ('deny' as const),
        })),
      ),
    );
    expect(verdicts.filter(({ effect }) => effect === 'allow')).toHaveLength(1);
  });

  test('say that they are incomplete when they hold too many tools', async () => {
    const store = open();
    for (let index = 0; index < 1001; index += 1) {
      const entry = entryOf(`tool_${index}`);
      await enter(store, entry);
      await store.leaveSession(entry.callId, 'refused', 0);
    }
    expect((await look(store)).complete).toBe(false);
  }, 60_000);

  test('pass on what the judge throws, and note nothing', async () => {
    const store = open();
    const judge = () => {
      throw new RangeError('judge');
    };
    await expect(store.enterSession(entryOf('x'), judge)).rejects.toThrow();
    expect((await look(store)).tools.size).toBe(0);
  });
});

test('a folder is not touched for a policy without such rules', async () => {
  const store = fileStore(folder);
  const entry = { ...entryOf('x'), isRuled: false };
  expect((await enter(store, entry)).history.complete).toBe(true);
  await store.leaveSession(entry.callId, 'ok', 1);
  expect(readdirSync(folder)).toEqual([]);
});

const sessionsIn = () => join(folder, 'sessions');
const recordFile = () => {
  const [name] = readdirSync(sessionsIn()).filter((each) => each.endsWith('.json'));
  return join(sessionsIn(), name as string);
};

describe('separate stores on one folder', () => {
  test('share a session', async () => {
    const [one, other] = [fileStore(folder), fileStore(folder)];
    const entry = entryOf('get_approval');
    await enter(one, entry);
    expect((await look(other)).tools.get('get_approval')).toEqual({ running: 1 });
    await one.leaveSession(entry.callId, 'ok', 0);
    expect((await look(other)).tools.get('get_approval')?.succeededAt).toBeGreaterThan(0);
  });

  test('keep it in private files whose names do not tell the session', async () => {
    await enter(fileStore(folder), entryOf('x', 'customer-42'));
    expect(recordFile()).not.toContain('customer');
    expect(statSync(recordFile()).mode & 0o777).toBe(0o600);
    expect(statSync(sessionsIn()).mode & 0o777).toBe(0o700);
    expect(readdirSync(sessionsIn())).toHaveLength(1);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['another version', '{"version":2}'],
    ['a negative time', '{"version":1,"time":{"now":-1}}'],
  ])('admit nobody where a record holds %s', async (_, text) => {
    const store = fileStore(folder);
    await enter(store, entryOf('x'));
    writeFileSync(recordFile(), text);
    await expect(look(store)).rejects.toMatchObject({ code: 'ENF_STATE_STORE' });
    await expect(look(fileStore(folder))).rejects.toMatchObject({ code: 'ENF_STATE_STORE' });
  });

  test('admit nobody where a record is of another session, or has a member more', async () => {
    const store = fileStore(folder);
    await enter(store, entryOf('x'));
    const record = JSON.parse(readFileSync(recordFile(), 'utf8'));
    for (const changed of [
      { ...record, session: 't' },
      { ...record, more: 1 },
    ]) {
      writeFileSync(recordFile(), JSON.stringify(changed));
      await expect(look(store)).rejects.toMatchObject({ code: 'ENF_STATE_STORE' });
    }
  });

  test('admit nobody where the folder cannot be one', async () => {
    writeFileSync(join(folder, 'sessions'), 'a file');
    await expect(look(fileStore(folder))).rejects.toMatchObject({ code: 'ENF_STATE_STORE' });
  });

  test('go on after an error has passed', async () => {
    const store = fileStore(folder);
    writeFileSync(join(folder, 'sessions'), 'a file');
    await expect(enter(store, entryOf('x'))).rejects.toMatchObject({ code: 'ENF_STATE_STORE' });
    rmSync(join(folder, 'sessions'));
    expect((await enter(store, entryOf('x'))).effect).toBe('allow');
  });
});

describe('time in a folder', () => {
  const at = (wallMs: number, steadyMs: number) => () => ({ wallMs, steadyMs, boot: 'b' });

  test('is that of the store, and goes on when the wall clock is set back', async () => {
    const entry = entryOf('approve', 's', 1);
    const store = fileSessions(folder, { clock: at(1_000_000, 0) });
    expect((await enter(store, entry)).now).toBe(1_000_000);
    await store.leaveSession(entry.callId, 'ok', 1);
    const back = fileSessions(folder, { clock: at(400, 60_000) });
    const seen = await enter(back, entryOf('pay', 's', 2));
    expect(seen.now).toBe(1_060_000);
    expect(seen.history.tools.get('approve')?.succeededAt).toBe(1_000_000);
  });
});

describe('more sessions than a folder holds', () => {
  test('are never mistaken for clean ones, and find room when others were silent', async () => {
    const month = 32 * 24 * 3600 * 1000;
    const store = fileSessions(folder, { sessionsMax: 3 });
    for (const name of ['a', 'b', 'c']) await enter(store, entryOf('x', name));
    const late = await enter(store, entryOf('read_secret', 'late'));
    expect(late.history.complete).toBe(false);
    expect((await look(store, 'late')).complete).toBe(false);
    expect((await look(store, 'a')).complete).toBe(true);
    const old = (Date.now() - month) / 1000;
    utimesSync(join(folder, readdirSync(folder)[0] as string), old, old);
    expect((await enter(store, entryOf('x', 'late'))).history.complete).toBe(true);
    expect(readdirSync(folder)).toHaveLength(3);
  });
});

/** Runs a program with a store on the folder in a process of its own. */
function inProcess(script: string): { readonly output: Promise<string> } {
  const file = join(folder, `script-${calls++}.mjs`);
  const usage = new URL('../../dist/src/usage/index.js', import.meta.url).href;
  writeFileSync(
    file,
    `import { fileStore } from ${JSON.stringify(usage)};\nconst store = fileStore(${JSON.stringify(join(folder, 'state'))});\nconst entry = (tool, callId) => ({ session: 's', tool, callId, now: 0, isRuled: true });\n${script}`,
  );
  const child = fork(file, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return { output: once(child, 'close').then(() => text) };
}

describe('separate processes', () => {
  const ONCE = `
    const alone = ({ tools }) => ({ effect: tools.size === 0 ? 'allow' : 'deny' });
    const verdicts = await Promise.all([1, 2, 3].map((n) => store.enterSession(entry('once', process.pid + '-' + n), alone)));
    console.log(verdicts.filter(({ effect }) => effect === 'allow').length);`;

  test('let one call pass a judge that wants to be alone', async () => {
    const outputs = await Promise.all(Array.from({ length: 4 }, () => inProcess(ONCE).output));
    expect(outputs.map(Number).reduce((sum, each) => sum + each)).toBe(1);
  }, 60_000);

  test('that die leave their calls as having run, and not ended well', async () => {
    await inProcess(`
      await store.enterSession(entry('read_secret', 'c'), () => ({ effect: 'allow' }));
      process.kill(process.pid, 'SIGKILL');`).output;
    const store = fileStore(join(folder, 'state'));
    const first = (await look(store)).tools.get('read_secret');
    expect(first).toEqual({ running: 0, ranAt: expect.any(Number) });
    // Looking again does not make it later.
    expect((await look(store)).tools.get('read_secret')).toEqual(first);
  }, 60_000);

  test('that die in the middle of a step leave the record of before or after', async () => {
    const hammer = `
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 30 + Math.random() * 150);
      for (let n = 0; ; n += 1) {
        const callId = process.pid + '-' + n;
        await store.enterSession(entry('tool_' + (n % 5), callId), () => ({ effect: 'allow' }));
        await store.leaveSession(callId, 'ok', 0);
      }`;
    const rounds = Array.from({ length: 4 }, () => inProcess(hammer).output);
    await Promise.all(rounds);
    const history = await look(fileStore(join(folder, 'state')));
    expect(history.complete).toBe(true);
    expect([...history.tools.values()].every(({ running }) => running === 0)).toBe(true);
  }, 60_000);
});
