import { expect, test } from 'vitest';
import { BPF, branch, encodeBpf, instruction } from '../../src/isolation/bpf.ts';

test('an instruction is eight bytes: u16 code, u8 and u8 jumps, u32 operand', () => {
  const program = [branch(BPF.jumpEqual, 0xc000003e, 1, 255), instruction(BPF.return, 0x7fff0000)];
  expect(Buffer.from(encodeBpf(program)).toString('hex')).toBe(
    '150001ff3e0000c0' + '060000000000ff7f',
  );
});

test.each([
  [256, 0],
  [0, 256],
])('a jump over %i or %i instructions is refused, not cut to eight bits', (ifTrue, ifFalse) => {
  expect(() => branch(BPF.jumpEqual, 0, ifTrue, ifFalse)).toThrow(RangeError);
});
