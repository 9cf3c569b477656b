import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import {
  encodeLaunchTable,
  type LaunchRow,
  littleEndian,
  reportRecord,
} from '../../src/isolation/launch-table.ts';
import { LAUNCHER_IMAGES } from '../../src/isolation/launcher-images.ts';
import type { Architecture } from '../../src/isolation/seccomp-syscalls.ts';
import { lacks } from './launched-program.ts';

// The launchers themselves, given tables that are whole, cut, wrong or hostile: on the machine where
// it has their architecture, else in qemu's user mode.

const folder = mkdtempSync(join(tmpdir(), 'launcher-machine-'));
afterAll(() => rmSync(folder, { recursive: true }));

const EMULATORS = { x64: '/usr/bin/qemu-x86_64', arm64: '/usr/bin/qemu-aarch64' } as const;
const EBADF = 9;
const EISDIR = 21;

function commandFor(architecture: Architecture): readonly [string, ...string[]] {
  const file = join(folder, architecture);
  if (!existsSync(file)) {
    writeFileSync(file, Buffer.from(LAUNCHER_IMAGES[architecture].base64, 'base64'), {
      mode: 0o755,
    });
  }
  return process.arch === architecture ? [file] : [EMULATORS[architecture], file];
}

interface Run {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly report: Buffer;
}

async function run(
  architecture: Architecture,
  table: Uint8Array | number,
  { chunkBytes = 2 ** 30 } = {},
): Promise<Run> {
  const [command, ...args] = commandFor(architecture);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe', typeof table === 'number' ? table : 'pipe', 'pipe'],
    timeout: 20_000,
  });
  const [, stdout, , , input, report] = child.stdio as unknown as Readable[];
  const chunks: Buffer[][] = [stdout, report].map((stream) => {
    const received: Buffer[] = [];
    stream?.on('data', (chunk: Buffer) => received.push(chunk));
    return received;
  });
  if (typeof table !== 'number') {
    const writable = input as unknown as Writable;
    writable.on('error', () => undefined);
    for (let at = 0; at < table.length; at += chunkBytes) {
      writable.write(table.subarray(at, at + chunkBytes));
    }
    writable.end();
  }
  const [exitCode, signal] = await once(child, 'close');
  const [output = [], records = []] = chunks;
  return {
    exitCode,
    signal,
    stdout: Buffer.concat(output).toString(),
    report: Buffer.concat(records),
  };
}

const EXIT: LaunchRow = { call: 'exit_group', args: [7], mode: 'must-succeed', purpose: 'exit' };
const SAY: LaunchRow = {
  call: 'write',
  args: [1, { text: 'ran' }, 3],
  mode: 'must-equal',
  value: 3,
  purpose: 'say so',
};

function close(descriptor: number, expectation: object = {}): LaunchRow {
  const row = { call: 'close', args: [descriptor], mode: 'must-succeed', purpose: 'close' };
  return { ...row, ...expectation } as LaunchRow;
}

function refusal(row: number, result: number, stage = 0): object {
  return {
    exitCode: 125,
    signal: null,
    stdout: '',
    report: Buffer.from(reportRecord(row, result, stage)),
  };
}

const cases = (['x64', 'arm64'] as const).map((architecture) => ({
  architecture,
  native: process.arch === architecture,
  runs: process.arch === architecture || existsSync(EMULATORS[architecture]),
}));

describe.each(cases)('the launcher for $architecture', ({ architecture, native, runs }) => {
  const it = test.skipIf(lacks(`qemu-${architecture}`, runs));
  const table = (...rows: readonly LaunchRow[]) => encodeLaunchTable(rows, architecture);
  const go = (...rows: readonly LaunchRow[]) => run(architecture, table(...rows, SAY, EXIT));

  it('runs every row of a whole table', async () => {
    expect(await go()).toMatchObject({ exitCode: 7, stdout: 'ran', report: Buffer.alloc(0) });
  });

  it('takes a table in pieces', async () => {
    const whole = table(SAY, EXIT);
    expect(await run(architecture, whole, { chunkBytes: 5 })).toMatchObject({ stdout: 'ran' });
  });

  it('takes the largest table there is room for, and no larger', async () => {
    const room = 4 * 2 ** 20 - table(SAY, EXIT).length - 72;
    const padding: LaunchRow = { ...close(1), args: [3, { bytes: new Uint8Array(room) }] };
    const largest = table(padding, SAY, EXIT);
    expect(largest).toHaveLength(4 * 2 ** 20);
    expect(await run(architecture, largest)).toMatchObject({ exitCode: 7, stdout: 'ran' });
    const larger = Buffer.concat([
      littleEndian([BigInt(2 ** 22 + 8)]),
      largest.subarray(8),
      Buffer.alloc(8),
    ]);
    expect(await run(architecture, larger)).toEqual(refusal(-1, 2 ** 22 + 8));
  });

  it('runs nothing of a table that is cut anywhere', async () => {
    const whole = table(SAY, EXIT);
    const step = native ? 1 : 13;
    for (let bytes = 0; bytes < whole.length; bytes += step) {
      const { exitCode, stdout, report } = await run(architecture, whole.subarray(0, bytes));
      expect({ bytes, exitCode, stdout }).toEqual({ bytes, exitCode: 125, stdout: '' });
      expect(report.readBigInt64LE(0)).toBe(-1n);
    }
  });

  it.each([0n, 1n, 7n, 8n, 15n, 23n])(
    'refuses a table that says it has %s bytes',
    async (length) => {
      const whole = table(SAY, EXIT);
      const lying = Buffer.concat([littleEndian([length]), whole.subarray(8)]);
      expect(await run(architecture, lying)).toMatchObject({ exitCode: 125, stdout: '' });
    },
  );

  it.each([2n ** 22n + 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n])(
    'refuses a table that says it has %s bytes, before it reads them',
    async (length) => {
      const lying = Buffer.concat([littleEndian([length]), table(SAY, EXIT).subarray(8)]);
      expect(await run(architecture, lying)).toMatchObject({ exitCode: 125, stdout: '' });
    },
  );

  it('refuses a table without rows', async () => {
    const empty = littleEndian([24n, 0n, 1n]);
    expect(await run(architecture, empty)).toEqual(refusal(0, 0, 1));
  });

  it('refuses when its rows end without an exit', async () => {
    const whole = table(close(3), EXIT);
    const short = Buffer.concat([whole.subarray(0, 8), littleEndian([1n]), whole.subarray(16)]);
    expect(await run(architecture, short)).toEqual(refusal(1, 0));
  });

  it('refuses a table it cannot read', async () => {
    const directory = openSync('/', 'r');
    expect(await run(architecture, directory)).toEqual(refusal(-1, -EISDIR));
    closeSync(directory);
  });

  it('leaves a second table on the descriptor to another launcher', async () => {
    const rest: LaunchRow = {
      call: 'read',
      args: [4, { slot: 'rest' }, 1],
      mode: 'must-equal',
      value: 0,
      purpose: 'see the end',
    };
    const first = table(rest, SAY, EXIT);
    expect(await run(architecture, Buffer.concat([first, first]))).toEqual(refusal(0, 1));
    expect(await run(architecture, first)).toMatchObject({ stdout: 'ran' });
  });

  it('refuses a row that must succeed and did not', async () => {
    expect(await go(close(3), close(99))).toEqual(refusal(1, -EBADF));
  });

  it('repeats its stage in the report', async () => {
    const second = encodeLaunchTable([close(99), EXIT], architecture, 1);
    expect(await run(architecture, second)).toEqual(refusal(0, -EBADF, 1));
  });

  it('forgives only the error that a row may fail with', async () => {
    expect(await go(close(99, { mode: 'may-fail', errno: EBADF }))).toMatchObject({
      stdout: 'ran',
    });
    expect(await go(close(3, { mode: 'may-fail', errno: EBADF }))).toMatchObject({ stdout: 'ran' });
    expect(await go(close(99, { mode: 'may-fail', errno: 1 }))).toEqual(refusal(0, -EBADF));
  });

  it('accepts only the result that a row must have', async () => {
    expect(await go(close(3, { mode: 'must-equal', value: 0 }))).toMatchObject({ stdout: 'ran' });
    expect(await go(close(3, { mode: 'must-equal', value: 1 }))).toEqual(refusal(0, 0));
    expect(await go(close(99, { mode: 'must-equal', value: -EBADF }))).toMatchObject({
      stdout: 'ran',
    });
  });

  it('keeps a result for a later row', async () => {
    const parent: LaunchRow = {
      call: 'getppid',
      args: [],
      mode: 'store',
      slot: 'p',
      purpose: 'ask',
    };
    const tell: LaunchRow = {
      call: 'write',
      args: [5, { slot: 'p' }, 8],
      mode: 'must-equal',
      value: 8,
      purpose: 'tell',
    };
    const { report } = await go(parent, tell);
    expect(report).toEqual(Buffer.from(littleEndian([BigInt(process.pid)])));
    expect(await go({ ...close(99), mode: 'store', slot: 'p' })).toEqual(refusal(0, -EBADF));
  });

  it.each([4n, 5n, 2n ** 32n, 2n ** 63n])('refuses a row of mode %s', async (mode) => {
    const whole = Buffer.from(table(close(3), SAY, EXIT));
    whole.writeBigUInt64LE(mode, 24 + 56);
    expect(await run(architecture, whole)).toEqual(refusal(0, 0));
  });

  it('dies, and is not taken for a program, when a row points nowhere', async () => {
    const whole = Buffer.from(table({ ...close(3), mode: 'store', slot: 'nowhere' }, SAY, EXIT));
    whole.writeBigUInt64LE(0x10n, 24 + 64);
    const { exitCode, signal, stdout, report } = await run(architecture, whole);
    expect({ exitCode, signal, stdout }).toEqual({ exitCode: null, signal: 'SIGSEGV', stdout: '' });
    expect(report).toHaveLength(0);
  });
});
