import { describe, expect, test } from 'vitest';
import {
  encodeLaunchTable,
  type LaunchRow,
  littleEndian,
  reportRecord,
} from '../../src/isolation/launch-table.ts';

const EXIT: LaunchRow = { call: 'exit_group', args: [0], mode: 'must-succeed', purpose: 'exit' };
const BASE = 0x10000000;
const ROWS_AT = 24;
const ROW_BYTES = 72;

function words(bytes: Uint8Array): readonly bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, index) => view.getBigInt64(index * 8, true));
}

/** The 9 words of a row: call, six arguments, mode, operand. */
function row(table: Uint8Array, index: number): readonly bigint[] {
  const at = ROWS_AT + index * ROW_BYTES;
  return words(table.subarray(at, at + ROW_BYTES));
}

function textAt(table: Uint8Array, address: bigint | undefined): string {
  const at = Number(address) - BASE;
  return Buffer.from(table.subarray(at, table.indexOf(0, at))).toString();
}

function must(call: string, args: LaunchRow['args']): LaunchRow {
  return { call, args, mode: 'must-succeed', purpose: `make the call ${call}` };
}

describe('encodeLaunchTable', () => {
  test('begins with its length, its number of rows and its stage', () => {
    const table = encodeLaunchTable([EXIT], 'x64', 1);
    expect(words(table).slice(0, 3)).toEqual([96n, 1n, 1n]);
    expect(table).toHaveLength(96);
  });

  test('writes the number of the call for the architecture', () => {
    expect(row(encodeLaunchTable([EXIT], 'x64'), 0)[0]).toBe(231n);
    expect(row(encodeLaunchTable([EXIT], 'arm64'), 0)[0]).toBe(94n);
  });

  test('keeps negative arguments and missing ones', () => {
    const table = encodeLaunchTable([must('openat', [-100, 2n ** 63n]), EXIT], 'x64');
    expect(row(table, 0).slice(1, 7)).toEqual([-100n, -(2n ** 63n), 0n, 0n, 0n, 0n]);
  });

  test.each<[string, Partial<LaunchRow>, readonly [bigint, bigint]]>([
    ['must-succeed', { mode: 'must-succeed' }, [0n, 0n]],
    ['may-fail', { mode: 'may-fail', errno: 22 }, [1n, -22n]],
    ['must-equal', { mode: 'must-equal', value: 7 }, [3n, 7n]],
  ])('writes the mode %s', (_, expectation, wanted) => {
    const checked = { ...must('getppid', []), ...expectation } as LaunchRow;
    expect(row(encodeLaunchTable([checked, EXIT], 'x64'), 0).slice(7)).toEqual(wanted);
  });

  test('points to text that ends with NUL', () => {
    const table = encodeLaunchTable([must('chdir', [{ text: '/scratch/ä' }]), EXIT], 'x64');
    expect(textAt(table, row(table, 0)[1])).toBe('/scratch/ä');
  });

  test('points to a list of texts that ends with a null pointer', () => {
    const rows = [
      must('execve', [{ text: '/x' }, { texts: ['/x', '-a'] }, { environment: { A: '1', B: '' } }]),
    ];
    const table = encodeLaunchTable(rows, 'x64');
    const textsAt = (address: bigint | undefined) => {
      const at = Number(address) - BASE;
      const [first, second, end] = words(table.subarray(at, at + 24));
      return [textAt(table, first), textAt(table, second), end];
    };
    expect(textsAt(row(table, 0)[2])).toEqual(['/x', '-a', 0n]);
    expect(textsAt(row(table, 0)[3])).toEqual(['A=1', 'B=', 0n]);
  });

  test('points to a filter through a struct sock_fprog', () => {
    const filter = new Uint8Array(24).fill(6);
    const table = encodeLaunchTable([must('seccomp', [1, 0, { filter }]), EXIT], 'x64');
    const at = Number(row(table, 0)[3]) - BASE;
    const [count, pointer] = words(table.subarray(at, at + 16));
    expect(count).toBe(3n);
    const program = Number(pointer) - BASE;
    expect(table.subarray(program, program + 24)).toEqual(Buffer.from(filter));
  });

  test('keeps equal contents once, but never shares a slot', () => {
    const zeros = { bytes: new Uint8Array(8) };
    const rows = [
      must('chdir', [{ text: '/a' }, { text: '/a' }, zeros, zeros]),
      { ...must('getppid', [{ slot: 'one' }, { slot: 'two' }]), mode: 'store', slot: 'one' },
      EXIT,
    ] as const;
    const table = encodeLaunchTable(rows, 'x64');
    const [, text, sameText, bytes, sameBytes] = row(table, 0);
    const [, one, two] = row(table, 1);
    expect(text).toBe(sameText);
    expect(bytes).toBe(sameBytes);
    expect(new Set([bytes, one, two]).size).toBe(3);
    expect(row(table, 1).at(-1)).toBe(one);
  });

  test('points to the record that says a row was reached', () => {
    const rows = [must('getppid', []), must('write', [5, { reached: true }, 24]), EXIT];
    const table = encodeLaunchTable(rows, 'x64', 1);
    const at = Number(row(table, 1)[2]) - BASE;
    expect(words(table.subarray(at, at + 24))).toEqual([2n, 0n, 1n]);
    expect(reportRecord(2, 0, 1)).toEqual(new Uint8Array(table.subarray(at, at + 24)));
  });

  test.each<[string, readonly LaunchRow[]]>([
    ['has no rows', []],
    ['ends in a row that returns', [EXIT, must('getppid', [])]],
  ])('refuses a table that %s', (_, rows) => {
    expect(() => encodeLaunchTable(rows, 'x64')).toThrow(/must end with `execve` or `exit_group`/);
  });

  test('refuses a call that the architecture lacks', () => {
    expect(() => encodeLaunchTable([must('fork', []), EXIT], 'arm64')).toThrow(
      'the system call `fork` does not exist on arm64',
    );
  });

  test('refuses text with NUL, which would be cut there', () => {
    expect(() => encodeLaunchTable([must('chdir', [{ text: '/a\0/b' }]), EXIT], 'x64')).toThrow(
      expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
    );
  });

  test('refuses a table that the launcher has no room for', () => {
    const bytes = new Uint8Array(4 * 2 ** 20);
    expect(() => encodeLaunchTable([must('write', [5, { bytes }]), EXIT], 'x64')).toThrow(
      expect.objectContaining({ code: 'ENF_ISOLATION_UNAVAILABLE' }),
    );
    const most = new Uint8Array(4 * 2 ** 20 - ROWS_AT - 2 * ROW_BYTES);
    expect(encodeLaunchTable([must('write', [5, { bytes: most }]), EXIT], 'x64')).toHaveLength(
      4 * 2 ** 20,
    );
  });
});

test('littleEndian keeps negative numbers as two’s complement', () => {
  expect([...littleEndian([-2n])]).toEqual([0xfe, 255, 255, 255, 255, 255, 255, 255]);
});
