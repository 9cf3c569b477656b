import type { ToolTarget } from '../../src/call.ts';
import { call, program } from '../isolation/raw-syscalls.ts';

export { buffer, bytes, call, result, text } from '../isolation/raw-syscalls.ts';

/** A tool that makes these system calls, one after the other, and prints what they gave. */
export function syscallTool(calls: readonly string[]): ToolTarget {
  return { command: [program, ...calls] };
}

/** The call that waits. */
export function sleepCall(ms: number): string {
  const time = new BigInt64Array([BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1_000_000)]);
  return call('nanosleep', `#${Buffer.from(time.buffer).toString('hex')}`, 0);
}
