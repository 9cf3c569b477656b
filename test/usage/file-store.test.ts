import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLedger, fileStore, type Reservation } from '../../src/usage/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const slot = (callsMax: number): Reservation => ({
  kind: 'slot',
  key: 's',
  rule: 'slots',
  callsMax,
});
const rate = (amountMax: number, windowMs = 3_600_000): Reservation => ({
  kind: 'window',
  key: 'w',
  rule: 'rates',
  amount: 1,
  amountMax,
  windowMs,
});
const budget = (microUsd: number, microUsdMax: number): Reservation => ({
  kind: 'budget',
  key: 'b',
  rule: 'money',
  microUsd,
  microUsdMax,
});
const ledgerOf = (at = folder) => createLedger({ store: fileStore(at), clock: () => 0 });
const ids = { callId: 'c' };

describe('separate stores on one folder', () => {
  test('share rates, budgets and slots', async () => {
    const [one, other] = [ledgerOf(), ledgerOf()];
    const answer = await one.reserve([slot(1), rate(1), budget(7, 10)], ids);
    expect(await other.reserve([slot(1), rate(1), budget(7, 10)], ids)).toMatchObject({
      granted: false,
      reasons: [
        { code: 'ENF_DENIED_CONCURRENCY' },
        { code: 'ENF_DENIED_RATE' },
        { code: 'ENF_DENIED_BUDGET' },
      ],
    });
    if (answer.granted) await answer.grant.settle();
    expect((await other.reserve([slot(1), budget(3, 10)], ids)).granted).toBe(true);
    expect((await ledgerOf().reserve([rate(1)], ids)).granted).toBe(false);
  });

  test('give back what was released', async () => {
    const answer = await ledgerOf().reserve([slot(1), rate(1), budget(10, 10)], ids);
    if (answer.granted) await answer.grant.release();
    expect((await ledgerOf().reserve([slot(1), rate(1), budget(10, 10)], ids)).granted).toBe(true);
  });

  test('50 parallel calls of 5 ledgers never overspend', async () => {
    const ledgers = Array.from({ length: 5 }, () => ledgerOf());
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        ledgers[index % 5]?.reserve([budget(300, 1000), rate(20)], ids),
      ),
    );
    expect(answers.filter((answer) => answer?.granted)).toHaveLength(3);
  }, 30_000);

  test('leave no lock and no half-written file behind, and nothing for others to read', async () => {
    await ledgerOf().reserve([slot(1)], ids);
    expect(readdirSync(folder)).toEqual(['ledger.json']);
    expect(statSync(join(folder, 'ledger.json')).mode & 0o077).toBe(0);
  });

  test('make the folder when it is missing', async () => {
    expect((await ledgerOf(join(folder, 'a/b')).reserve([slot(1)], ids)).granted).toBe(true);
  });
});

/** Runs a program on the built package in a process of its own. */
async function inProcess(script: string): Promise<string> {
  const file = join(folder, 'script.mjs');
  const usage = new URL('../../dist/src/usage/index.js', import.meta.url).href;
  writeFileSync(
    file,
    `import { createLedger, fileStore } from ${JSON.stringify(usage)};\nconst ledger = createLedger({ store: fileStore(${JSON.stringify(folder)}), clock: () => 0 });\n${script}`,
  );
  const child = fork(file, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  await once(child, 'close');
  return output;
}

/** The name of a process of this host that no longer runs. */
const deadOwner = (pid = 999_999_999): string =>
  `${pid}:1:${readlinkSync('/proc/self/ns/pid').replace(/[^0-9]/g, '')} token`;

describe('a process that dies', () => {
  test('frees its slots, and has spent what it reserved', async () => {
    const grant = JSON.stringify([slot(1), rate(5), budget(4, 10)]);
    await inProcess(
      `await ledger.reserve(${grant}, { callId: 'dead' });\nprocess.kill(process.pid, 'SIGKILL');`,
    );
    const answer = await ledgerOf().reserve([slot(1), budget(7, 10)], ids);
    expect(answer).toMatchObject({
      granted: false,
      reasons: [{ code: 'ENF_DENIED_BUDGET', message: expect.stringContaining('$0.000006 left') }],
    });
    expect((await ledgerOf().reserve([slot(1), budget(6, 10)], ids)).granted).toBe(true);
  });

  test('while it holds the lock does not hold up the others for ever', async () => {
    writeFileSync(join(folder, 'ledger.json.lock'), deadOwner());
    expect((await ledgerOf().reserve([slot(1)], ids)).granted).toBe(true);
  });

  test('is told from a later process with the same id', async () => {
    writeFileSync(join(folder, 'ledger.json.lock'), deadOwner(process.pid));
    expect((await ledgerOf().reserve([slot(1)], ids)).granted).toBe(true);
  });

  test('while it breaks a lock does not keep it unbreakable', async () => {
    writeFileSync(join(folder, 'ledger.json.lock'), deadOwner());
    const breaker = join(folder, 'ledger.json.lock.break');
    writeFileSync(breaker, deadOwner());
    utimesSync(breaker, 0, 0);
    expect((await ledgerOf().reserve([slot(1)], ids)).granted).toBe(true);
  });
});

test('two processes that reserve at the same time never pass a window', async () => {
  const script = `let granted = 0;\nfor (let i = 0; i < 15; i++) if ((await ledger.reserve([${JSON.stringify(rate(20))}], { callId: String(i) })).granted) granted += 1;\nconsole.log(granted);`;
  // The same script file is written twice with the same text.
  const [one, other] = await Promise.all([inProcess(script), inProcess(script)]);
  expect(Number(one) + Number(other)).toBe(20);
}, 30_000);

describe('books that cannot be trusted admit nobody', () => {
  test.each([
    ['cut off', '{"version":1,"now":'],
    ['empty', ''],
    ['of another version', '{"version":2}'],
    [
      'with a negative balance',
      '{"version":1,"now":0,"slots":[],"windows":[],"budgets":[["b",{"spent":-5,"reserved":0,"max":1}]],"grants":[],"owners":[]}',
    ],
    [
      'with an unknown table',
      '{"version":1,"now":0,"slots":[],"windows":[],"budgets":[],"grants":[],"owners":[],"extra":1}',
    ],
  ])('%s', async (_, text) => {
    writeFileSync(join(folder, 'ledger.json'), text);
    await expect(ledgerOf().reserve([slot(1)], ids)).rejects.toMatchObject({
      code: 'ENF_STATE_STORE',
    });
    expect(readFileSync(join(folder, 'ledger.json'), 'utf8')).toBe(text);
  });

  test('a folder that is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(ledgerOf(join(folder, 'file')).reserve([slot(1)], ids)).rejects.toMatchObject({
      code: 'ENF_STATE_STORE',
    });
  });
});

test('a clock that goes back opens no window', async () => {
  await ledgerOf().reserve([rate(1)], ids);
  const file = join(folder, 'ledger.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as { now: number };
  const ahead = JSON.stringify({ ...state, now: state.now + 1e9 });
  writeFileSync(file, ahead.replaceAll(`"at":${state.now}`, `"at":${state.now + 1e9}`));
  expect((await ledgerOf().reserve([rate(1)], ids)).granted).toBe(false);
});

test('expired windows leave the file', async () => {
  await ledgerOf().reserve([rate(1, 1)], ids);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await ledgerOf().reserve([slot(5)], ids);
  expect(JSON.parse(readFileSync(join(folder, 'ledger.json'), 'utf8'))).toMatchObject({
    windows: [],
  });
});
