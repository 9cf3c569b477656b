import type { Architecture } from '../../src/isolation/seccomp-syscalls.ts';

/** One system call as a filter sees it. */
export interface SeccompData {
  readonly number: number;
  readonly auditArchitecture: number;
  /** Six, unsigned 64 bits. */
  readonly args: readonly bigint[];
}

export const AUDIT_ARCH: Readonly<Record<Architecture | 'i386', number>> = {
  x64: 0xc000003e,
  arm64: 0xc00000b7,
  i386: 0x40000003,
};

/**
 * What the kernel would answer: the classic BPF machine as far as seccomp allows it, with the checks
 * of the kernel's verifier, written from filter(4) and Documentation/networking/filter.rst. It knows
 * more operations than our compiler uses, so that it can run the programs of libseccomp too.
 *
 * @param program - `struct sock_filter[]`
 * @throws {Error} for anything the kernel would not load
 */
export function runBpf(program: Uint8Array, data: SeccompData): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const memory = dataBytes(data);
  const scratch = new Uint32Array(16);
  let accumulator = 0;
  let index = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const code = view.getUint16(at * 8, true);
    const ifTrue = view.getUint8(at * 8 + 2);
    const ifFalse = view.getUint8(at * 8 + 3);
    const operand = view.getUint32(at * 8 + 4, true);
    const jump = (holds: boolean) => {
      at += holds ? ifTrue : ifFalse;
    };
    switch (code) {
      case 0x20: // ld [k]
        if (operand % 4 !== 0 || operand > 60) throw new Error(`load at ${operand}`);
        accumulator = memory.getUint32(operand, true);
        break;
      case 0x00: // ld #k
        accumulator = operand;
        break;
      case 0x60: // ld M[k]
        accumulator = scratch[operand] ?? 0;
        break;
      case 0x02: // st M[k]
        scratch[operand] = accumulator;
        break;
      case 0x07: // tax
        index = accumulator;
        break;
      case 0x87: // txa
        accumulator = index;
        break;
      case 0x54: // and #k
        accumulator = (accumulator & operand) >>> 0;
        break;
      case 0x05: // ja
        at += operand;
        break;
      case 0x15: // jeq #k
        jump(accumulator === operand);
        break;
      case 0x25: // jgt #k
        jump(accumulator > operand);
        break;
      case 0x35: // jge #k
        jump(accumulator >= operand);
        break;
      case 0x45: // jset #k
        jump((accumulator & operand) !== 0);
        break;
      case 0x06: // ret #k
        return operand;
      default:
        throw new Error(`operation 0x${code.toString(16)}`);
    }
  }
  throw new Error('the program ran off its end');
}

function dataBytes({ number, auditArchitecture, args }: SeccompData): DataView {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, number, true);
  view.setUint32(4, auditArchitecture, true);
  for (const [at, value] of args.entries()) view.setBigUint64(16 + at * 8, value, true);
  return view;
}
