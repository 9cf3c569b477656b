import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LaunchPlan } from '../../src/isolation/launch-plan.ts';
import { NOTHING_USED } from '../../src/isolation/limit-watch.ts';
import { StartedWorker } from '../../src/isolation/started-worker.ts';
import { performCall } from '../../src/isolation/supervisor.ts';
import { makeJob, tool } from '../fixtures/job.ts';
import { eventually, isRunning } from '../fixtures/observe.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'started-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const started: StartedWorker[] = [];
const live = new Set<number>();
afterEach(async () => {
  for (const worker of started.splice(0)) await worker.end();
  expect([...live]).toEqual([]);
});

/** A worker whose code is this script; `frame` is there for it. It runs until it is ended. */
async function start(script: string): Promise<StartedWorker> {
  const prelude = `const { writeSync } = require('node:fs');
    const encode = (value) => { const text = JSON.stringify(value); const head = Buffer.alloc(4);
      head.writeUInt32BE(Buffer.byteLength(text)); return Buffer.concat([head, Buffer.from(text)]); };
    const frame = (...values) => writeSync(3, Buffer.concat(values.map(encode)));
    setInterval(() => {}, 1000);`;
  const plan: LaunchPlan = {
    file: process.execPath,
    args: ['-e', prelude + script],
    env: {},
    cwd: folder,
    channel: 'frames',
    layers: [],
    profileDigest: null,
    watch: () => ({ peaks: { cpuMs: 0, peakMemoryBytes: 0 }, limitsHit: [], stop: () => null }),
    usage: async () => NOTHING_USED,
  };
  const worker = await StartedWorker.start(plan, 100_000, live);
  if ('cause' in worker) throw new Error(worker.cause);
  started.push(worker);
  return worker;
}

const READY = "frame({ type: 'ready' });";

describe('a worker that waits', () => {
  test('is ready, and in no way else', async () => {
    const worker = await start(READY);
    expect(worker.isWaiting).toBe(false);
    expect(await worker.ready).toBe(true);
    expect([worker.isWaiting, worker.isAlive()]).toEqual([true, true]);
  });

  test.each([
    ['refuses', "frame({ type: 'refused', message: 'uid is 0' });"],
    ['ends', 'process.exit(0);'],
    ['sends what is no frame', "writeSync(3, 'garbage, and not a little of it');"],
    ['sends a result first', "frame({ type: 'result', callId: 'x' });"],
  ])('never becomes ready when it %s', async (_what, script) => {
    const worker = await start(script);
    expect(await worker.ready).toBe(false);
    expect(worker.isWaiting).toBe(false);
  });

  test.each([
    ['prints', "console.log('hello');"],
    ['prints an error', "console.error('hello');"],
    ['says ready twice', READY],
    ['sends a result of no call', "frame({ type: 'result', callId: 'x', value: 1 });"],
    ['logs', "frame({ type: 'log', callId: 'x', message: 'm' });"],
    ['ends', 'process.exit(0);'],
    ['kills itself', "process.kill(process.pid, 'SIGKILL');"],
  ])('is never used again once it %s before its turn', async (_what, script) => {
    const worker = await start(`${READY} setTimeout(() => { ${script} }, 50);`);
    const fault = new Promise<void>((resolve) => worker.onFault(resolve));
    await worker.ready;
    await fault;
    expect(worker.isWaiting).toBe(false);
  });

  test('is never used when a part of a message came from it', async () => {
    const worker = await start(`${READY} writeSync(3, Buffer.alloc(2)); console.log('sent');`);
    await worker.ready;
    await new Promise<void>((resolve) => worker.onFault(resolve));
    expect(worker.isWaiting).toBe(false);
  });

  test('tells a late listener of an early fault', async () => {
    const worker = await start('process.exit(0);');
    await worker.ready;
    let faults = 0;
    worker.onFault(() => {
      faults += 1;
    });
    expect(faults).toBe(1);
  });

  test('is seen to be dead before its end was told', async () => {
    const worker = await start(READY);
    await worker.ready;
    process.kill(worker.pid, 'SIGKILL');
    // Without a turn of the event loop nothing can be told.
    const until = performance.now() + 5000;
    while (worker.isAlive() && performance.now() < until);
    expect([worker.isAlive(), worker.isWaiting]).toEqual([false, true]);
  });

  test('is ended once, however often that is asked', async () => {
    const worker = await start(READY);
    const { pid } = worker;
    expect(await Promise.all([worker.end(), worker.end()])).toEqual([[], []]);
    expect(isRunning(pid)).toBe(false);
    expect(worker.isWaiting).toBe(false);
  });
});

describe('a call on a worker', () => {
  const ANSWER = `const { Socket } = require('node:net');
    const socket = new Socket({ fd: 3, readable: true, writable: true });
    socket.on('data', (bytes) => { const { callId } = JSON.parse(bytes.subarray(4)); answer(callId); });`;
  const kept = { isKept: true };

  test('that said `more` leaves it waiting', async () => {
    const worker = await start(
      `${ANSWER} const answer = (callId) => frame({ type: 'result', callId, value: callId }); ${READY}`,
    );
    for (const callId of ['a', 'b']) {
      const job = { ...(await makeJob(tool('add.mjs'))), callId };
      const { report, isKept } = await performCall(worker, job, kept);
      expect([report.end, isKept]).toEqual([{ status: 'ok', value: callId }, true]);
      expect(worker.isWaiting).toBe(true);
    }
  });

  test('cannot be answered with the id of the call before', async () => {
    const worker = await start(
      `${ANSWER} let first; const answer = (callId) => { first ??= callId;
        frame({ type: 'result', callId: first, value: callId }); }; ${READY}`,
    );
    const job = await makeJob(tool('add.mjs'));
    await performCall(worker, { ...job, callId: 'a' }, kept);
    const { report, isKept } = await performCall(worker, { ...job, callId: 'b' }, kept);
    expect([report.end.status, isKept]).toEqual(['protocol-violation', false]);
  });

  test('that gets two answers is none that may be followed by another', async () => {
    const worker = await start(
      `${ANSWER} const answer = (callId) => { 
        frame({ type: 'result', callId }, { type: 'result', callId }); }; ${READY}`,
    );
    const { report, isKept } = await performCall(worker, await makeJob(tool('add.mjs')), kept);
    expect([report.end.status, isKept]).toEqual(['protocol-violation', false]);
    expect(isRunning(worker.pid)).toBe(false);
  });

  test('takes its output with it, though it comes in another pipe', async () => {
    const worker = await start(
      `${ANSWER} const answer = (callId) => { writeSync(1, callId.repeat(50));
        frame({ type: 'result', callId, value: 1 }); }; ${READY}`,
    );
    const job = await makeJob(tool('add.mjs'));
    for (const callId of ['a', 'b']) {
      const { report } = await performCall(worker, { ...job, callId }, kept);
      expect(report.stdout).toBe(callId.repeat(50));
    }
  });
});

test('a worker that waits does not keep its process running', async () => {
  const worker = await start(READY);
  await worker.ready;
  const held = () =>
    process.getActiveResourcesInfo().filter((name) => /Pipe|Process/.test(name)).length;
  const before = held();
  worker.hold(false);
  expect(held()).toBeLessThan(before);
  worker.hold(true);
  await eventually(() => held() === before);
});
