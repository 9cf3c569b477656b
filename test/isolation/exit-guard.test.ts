import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProcessRunner } from '../../src/isolation/process-runner.ts';
import { tool } from '../fixtures/job.ts';
import { eventually, fileOf, isRunning, runningInGroup } from '../fixtures/observe.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'guard-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that runs a tool which spins and traps signals; its extra lines run before. */
async function programWith(lines: string, name: string) {
  const file = join(folder, name);
  const entry = pathToFileURL(join(process.cwd(), 'dist/src/index.js')).href;
  const script = `
    import { createEnforcer } from ${JSON.stringify(entry)};
    ${lines}
    const enforcer = await createEnforcer({ policy: { name: 'test', isolation: { level: 'process' } }, audit: false });
    await enforcer.run(${JSON.stringify(tool('spin-and-trap.mjs'))}, { file: ${JSON.stringify(file)} });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [toolPid] = (await fileOf(file)) as [number];
  expect(isRunning(toolPid)).toBe(true);
  return { child, toolPid };
}

describe('a program that is ended while a tool spins', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'by %s takes the tool along',
    async (signal) => {
      const { child, toolPid } = await programWith('', signal);
      child.kill(signal);
      expect(await once(child, 'exit')).toEqual([null, signal]);
      await eventually(() => !isRunning(toolPid));
      expect(runningInGroup(toolPid)).toEqual([]);
    },
  );

  test('by process.exit takes the tool along', async () => {
    const { child, toolPid } = await programWith(
      'process.on("SIGUSR2", () => process.exit(5));',
      'exit',
    );
    child.kill('SIGUSR2');
    expect(await once(child, 'exit')).toEqual([5, null]);
    await eventually(() => !isRunning(toolPid));
  });

  test('may handle the signal itself and end later', async () => {
    const lines = `process.on('SIGTERM', () => {});
      process.on('SIGUSR2', () => process.exit(0));`;
    const { child, toolPid } = await programWith(lines, 'handled');
    child.kill('SIGTERM');
    child.kill('SIGUSR2');
    expect(await once(child, 'exit')).toEqual([0, null]);
    await eventually(() => !isRunning(toolPid));
  });
});

test('many runners add no more listeners to the process than one', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const counts = () =>
    ['exit', 'SIGINT', 'SIGTERM', 'SIGUSR1'].map((name) => process.listenerCount(name));
  const none = counts();
  const first = new ProcessRunner();
  const one = counts();
  const more = Array.from({ length: 30 }, () => new ProcessRunner());
  expect(counts()).toEqual(one);
  await Promise.all([first, ...more].map((runner) => runner.close()));
  expect(counts()).toEqual(none);
  await new Promise(setImmediate);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('SIGUSR1 does not open the inspector of this process', () => {
  const runner = new ProcessRunner();
  expect(process.listenerCount('SIGUSR1')).toBe(1);
  return runner.close();
});
