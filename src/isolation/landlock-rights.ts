// The Landlock rights of every ABI, and the bytes of the kernel's structures that carry them.
// From `include/uapi/linux/landlock.h` of Linux 5.13 (ABI 1) to 7.2 (ABI 10).

import { littleEndian } from './launch-table.ts';

/** Rights by bit, with the ABI that introduced them. */
const FS_RIGHTS = {
  execute: { bit: 0, abi: 1 },
  'write-file': { bit: 1, abi: 1 },
  'read-file': { bit: 2, abi: 1 },
  'read-dir': { bit: 3, abi: 1 },
  'remove-dir': { bit: 4, abi: 1 },
  'remove-file': { bit: 5, abi: 1 },
  'make-char': { bit: 6, abi: 1 },
  'make-dir': { bit: 7, abi: 1 },
  'make-reg': { bit: 8, abi: 1 },
  'make-sock': { bit: 9, abi: 1 },
  'make-fifo': { bit: 10, abi: 1 },
  'make-block': { bit: 11, abi: 1 },
  'make-sym': { bit: 12, abi: 1 },
  refer: { bit: 13, abi: 2 },
  truncate: { bit: 14, abi: 3 },
  'ioctl-dev': { bit: 15, abi: 5 },
  'resolve-unix': { bit: 16, abi: 9 },
} as const;
/** A right on files or folders, by its name in the header. */
export type FsRight = keyof typeof FS_RIGHTS;

const NET_RIGHTS = [
  { bit: 0, abi: 4 }, // bind TCP
  { bit: 1, abi: 4 }, // connect TCP
  { bit: 2, abi: 10 }, // bind UDP
  { bit: 3, abi: 10 }, // connect or send UDP
] as const;

const SCOPES = [
  { bit: 0, abi: 6 }, // abstract unix sockets
  { bit: 1, abi: 6 }, // signals
] as const;

/** What a read path may do. */
export const READ: readonly FsRight[] = ['read-file', 'read-dir'];
/** What a program may do. */
export const EXECUTE: readonly FsRight[] = [...READ, 'execute'];
/** What a write path may do: never make devices, never execute, never ioctl a device. */
export const WRITE: readonly FsRight[] = [
  ...READ,
  'write-file',
  'truncate',
  'remove-dir',
  'remove-file',
  'make-dir',
  'make-reg',
  'make-sock',
  'make-fifo',
  'make-sym',
  'refer',
];
/** The rights a rule on something other than a folder may carry (others are EINVAL). */
export const FILE_RIGHTS: readonly FsRight[] = [
  'execute',
  'write-file',
  'read-file',
  'truncate',
  'ioctl-dev',
  'resolve-unix',
];

/** What a kernel's ABI lacks of the full rule set, and the layer name it is reported under. */
const MISSING_LAYERS = [
  { layer: 'no-refer', abi: 2 }, // files cannot be moved between folders at all
  { layer: 'no-truncate', abi: 3 }, // truncate() is not restricted; seccomp denies it instead
  { layer: 'no-ioctl', abi: 5 }, // ioctl on granted devices is not restricted
  { layer: 'no-signal-scope', abi: 6 }, // signals to processes of the same user are not restricted
] as const;

/** Names of what the kernel's Landlock cannot do, for the outcome and `doctor`. */
export function landlockGaps(abi: number): readonly string[] {
  return MISSING_LAYERS.filter((gap) => abi < gap.abi).map((gap) => gap.layer);
}

/** The bits of `rights` that a kernel of `abi` knows. */
export function rightsMask(rights: readonly FsRight[], abi: number): bigint {
  return bits(
    rights.map((right) => FS_RIGHTS[right]),
    abi,
  );
}

/**
 * `struct landlock_ruleset_attr`, as long as the ABI knows it (longer is E2BIG): every known right
 * is handled, and so denied where no rule grants it. It grew with ABI 4 (network) and 6 (scopes).
 */
export function rulesetAttribute(abi: number, { network }: { network: boolean }): Uint8Array {
  const words = [
    bits(Object.values(FS_RIGHTS), abi),
    network ? bits(NET_RIGHTS, abi) : 0n,
    bits(SCOPES, abi),
  ];
  if (abi < 4) return littleEndian(words.slice(0, 1));
  return littleEndian(abi < 6 ? words.slice(0, 2) : words);
}

interface Versioned {
  readonly bit: number;
  readonly abi: number;
}

function bits(rights: readonly Versioned[], abi: number): bigint {
  return rights
    .filter((right) => right.abi <= abi)
    .reduce((sum, right) => sum | (1n << BigInt(right.bit)), 0n);
}
