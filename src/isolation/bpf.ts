/** One classic BPF instruction; jumps are relative to the next one and go forward only. */
export interface BpfInstruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly operand: number;
}

/** Operation codes of what a seccomp filter may use. @see linux/filter.h, linux/bpf_common.h */
export const BPF = {
  /** A = 32-bit word at the offset in `struct seccomp_data`. */
  load: 0x20,
  /** A &= operand. */
  and: 0x54,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpGreater: 0x25,
  jumpGreaterOrEqual: 0x35,
  return: 0x06,
} as const;

/** Most instructions the kernel takes (BPF_MAXINSNS). */
export const BPF_INSTRUCTIONS_MAX = 4096;

/** An instruction that does not branch, or the unconditional jump. */
export function instruction(code: number, operand: number): BpfInstruction {
  return { code, ifTrue: 0, ifFalse: 0, operand };
}

/** A conditional jump over `ifTrue` or `ifFalse` instructions, at most 255 each. */
export function branch(
  code: number,
  operand: number,
  ifTrue: number,
  ifFalse: number,
): BpfInstruction {
  if (ifTrue > 255 || ifFalse > 255) {
    throw new RangeError(`a conditional jump spans at most 255 instructions`);
  }
  return { code, ifTrue, ifFalse, operand };
}

/** The instructions as `struct sock_filter[]`. */
export function encodeBpf(program: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, ifTrue, ifFalse, operand }] of program.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, ifTrue);
    view.setUint8(index * 8 + 3, ifFalse);
    view.setUint32(index * 8 + 4, operand, true);
  }
  return bytes;
}
