// The launcher (worker/launcher/) makes system calls from a table, row by row, and trusts nothing
// else: what is called and what each result must be is decided here, as plain data.
//
//   table   u64 length in bytes, u64 number of rows, u64 stage, the rows, then what they point at
//   row     i64 system call, 6 × u64 argument, u64 mode, u64 operand
//   report  u64 row, i64 result, u64 stage; one record per launcher, or one that says what refused
//
// All numbers are little-endian. Pointers are absolute: the launcher reads the table to TABLE_ADDRESS.

import { EnforceError } from '../errors.ts';
import { type Architecture, syscallsOf } from './seccomp-syscalls.ts';

/** Descriptor the launcher reads its table from. */
export const TABLE_DESCRIPTOR = 4;
/** Descriptor the launcher reports to. */
export const REPORT_DESCRIPTOR = 5;
/** Exit code of a launcher that did not get as far as the program. */
export const LAUNCHER_REFUSED = 125;
/** Bytes of one record of the report. */
export const REPORT_RECORD_BYTES = 24;

/**
 * One argument of a call. Text is UTF-8 and ends with NUL; `texts` is an argv, `environment` an envp
 * (its values are not shown to people); `filter` a `struct sock_fprog`; `slot` the address where a
 * `store` row left its result; `reached` the record that says all rows up to this one held.
 */
export type LaunchArgument =
  | number
  | bigint
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly environment: Readonly<Record<string, string>> }
  | { readonly bytes: Uint8Array }
  | { readonly filter: Uint8Array }
  | { readonly slot: string }
  | { readonly reached: true };

/** What the result of a row must be for the launcher to go on. */
type Expectation =
  | { readonly mode: 'must-succeed' }
  | { readonly mode: 'may-fail'; readonly errno: number }
  | { readonly mode: 'must-equal'; readonly value: number }
  | { readonly mode: 'store'; readonly slot: string };

/** One system call of the launcher. `purpose` completes "could not …" and is shown by `explain`. */
export type LaunchRow = {
  readonly call: string;
  /** At most six. */
  readonly args: readonly LaunchArgument[];
  readonly purpose: string;
} & Expectation;

const TABLE_ADDRESS = 0x10000000;
const TABLE_BYTES_MAX = 0x400000;
const HEADER_BYTES = 24;
const ROW_BYTES = 72;
const SLOT_BYTES = 8;
const MODES = { 'must-succeed': 0, 'may-fail': 1, store: 2, 'must-equal': 3 } as const;

/**
 * The bytes the launcher reads from descriptor 4.
 *
 * @param stage - which launcher of a chain this table is for: 0, or 1 behind bubblewrap. It is only
 *   repeated in the report
 * @throws {EnforceError} `ENF_ISOLATION_UNAVAILABLE` when the table is larger than 4 MiB, the last
 *   row can return, or the architecture lacks a call; `ENF_CALL_ARGUMENT` when a text holds NUL
 */
export function encodeLaunchTable(
  rows: readonly LaunchRow[],
  architecture: Architecture,
  stage = 0,
): Uint8Array {
  const last = rows.at(-1)?.call;
  if (last !== 'execve' && last !== 'exit_group') {
    throw new EnforceError(
      'ENF_ISOLATION_UNAVAILABLE',
      `a launch table must end with \`execve\` or \`exit_group\`, got \`${last}\``,
    );
  }
  const numbers = syscallsOf(architecture);
  const front = new Uint8Array(HEADER_BYTES + rows.length * ROW_BYTES);
  const memory = new TableMemory(front.length);
  for (const [index, row] of rows.entries()) {
    const at = HEADER_BYTES + index * ROW_BYTES;
    front.set(
      encodeRow(row, numberOf(numbers, row.call, architecture), { memory, index, stage }),
      at,
    );
  }
  front.set(littleEndian([BigInt(memory.end), BigInt(rows.length), BigInt(stage)]));
  return Buffer.concat([front, ...memory.chunks]);
}

/** A record of the report, as the launcher writes it. */
export function reportRecord(row: number, result: number, stage: number): Uint8Array {
  return littleEndian([BigInt(row), BigInt(result), BigInt(stage)]);
}

/** Little-endian 64-bit words, as the kernel's structures hold them on both architectures. */
export function littleEndian(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) {
    view.setBigUint64(index * 8, word, true);
  }
  return bytes;
}

/** The part of a table behind its rows. Equal contents are kept once. */
class TableMemory {
  readonly chunks: Uint8Array[] = [];
  readonly #addresses = new Map<string, bigint>();
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  /** Offset of the first byte behind everything placed so far. */
  get end(): number {
    return this.#end;
  }

  /** Address of `bytes`, 8-byte aligned. A slot is written to, so it has a name of its own. */
  place(
    bytes: Uint8Array,
    name = `bytes ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')}`,
  ): bigint {
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    const address = BigInt(TABLE_ADDRESS + this.#end);
    const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
    padded.set(bytes);
    this.chunks.push(padded);
    this.#end += padded.length;
    this.#addresses.set(name, address);
    if (this.#end > TABLE_BYTES_MAX) {
      throw new EnforceError(
        'ENF_ISOLATION_UNAVAILABLE',
        `the launch table is larger than ${TABLE_BYTES_MAX} bytes; grant fewer paths`,
      );
    }
    return address;
  }
}

function numberOf(
  numbers: ReadonlyMap<string, number>,
  call: string,
  architecture: Architecture,
): bigint {
  const number = numbers.get(call);
  if (number === undefined) {
    throw new EnforceError(
      'ENF_ISOLATION_UNAVAILABLE',
      `the system call \`${call}\` does not exist on ${architecture}`,
    );
  }
  return BigInt(number);
}

interface Place {
  readonly memory: TableMemory;
  readonly index: number;
  readonly stage: number;
}

function encodeRow(row: LaunchRow, number: bigint, place: Place): Uint8Array {
  const words = [number, 0n, 0n, 0n, 0n, 0n, 0n];
  for (const [index, argument] of row.args.entries()) words[index + 1] = resolve(argument, place);
  return littleEndian([...words, BigInt(MODES[row.mode]), operandOf(row, place.memory)]);
}

function resolve(argument: LaunchArgument, { memory, index, stage }: Place): bigint {
  if (typeof argument === 'number' || typeof argument === 'bigint') return BigInt(argument);
  if ('text' in argument) return memory.place(terminated(argument.text));
  if ('texts' in argument) return placeTexts(argument.texts, memory);
  if ('environment' in argument) {
    const entries = Object.entries(argument.environment).map(([name, value]) => `${name}=${value}`);
    return placeTexts(entries, memory);
  }
  if ('bytes' in argument) return memory.place(argument.bytes);
  if ('filter' in argument) {
    // struct sock_fprog: u16 number of 8-byte instructions, padding, pointer.
    const instructions = BigInt(argument.filter.length / 8);
    return memory.place(littleEndian([instructions, memory.place(argument.filter)]));
  }
  if ('slot' in argument) return slotAddress(memory, argument.slot);
  return memory.place(reportRecord(index + 1, 0, stage));
}

function placeTexts(texts: readonly string[], memory: TableMemory): bigint {
  const addresses = texts.map((text) => memory.place(terminated(text)));
  return memory.place(littleEndian([...addresses, 0n]));
}

function operandOf(row: LaunchRow, memory: TableMemory): bigint {
  if (row.mode === 'must-equal') return BigInt(row.value);
  if (row.mode === 'may-fail') return BigInt(-row.errno);
  if (row.mode === 'store') return slotAddress(memory, row.slot);
  return 0n;
}

function slotAddress(memory: TableMemory, slot: string): bigint {
  return memory.place(new Uint8Array(SLOT_BYTES), `slot ${slot}`);
}

function terminated(text: string): Uint8Array {
  if (text.includes('\0')) {
    throw new EnforceError(
      'ENF_CALL_ARGUMENT',
      'a path, argument or environment entry of a tool must not contain NUL',
    );
  }
  return Buffer.from(`${text}\0`);
}
