import { describe, expect, test } from 'vitest';
import { type LandlockRules, landlockRows } from '../../src/isolation/landlock.ts';
import { landlockProbeRows, readLandlockProbe } from '../../src/isolation/landlock-probe.ts';
import {
  EXECUTE,
  FILE_RIGHTS,
  landlockGaps,
  READ,
  rightsMask,
  rulesetAttribute,
  WRITE,
} from '../../src/isolation/landlock-rights.ts';
import { littleEndian } from '../../src/isolation/launch-table.ts';
import { runLauncher } from '../../src/isolation/launcher-run.ts';
import { landlockAbi, launcher } from './launched-program.ts';

const RULES: LandlockRules = {
  abi: 7,
  read: [],
  write: [],
  execute: [],
  unixSockets: [],
  ownProc: false,
  denyTcpAndUdp: true,
};

describe('rulesetAttribute', () => {
  // handled_access_fs, handled_access_net, scoped; as long as the ABI knows the structure.
  test.each<[number, readonly bigint[]]>([
    [1, [0x1fffn]],
    [2, [0x3fffn]],
    [3, [0x7fffn]],
    [4, [0x7fffn, 3n]],
    [5, [0xffffn, 3n]],
    [6, [0xffffn, 3n, 3n]],
    [7, [0xffffn, 3n, 3n]],
    [8, [0xffffn, 3n, 3n]],
    [9, [0x1ffffn, 3n, 3n]],
    [10, [0x1ffffn, 15n, 3n]],
    [99, [0x1ffffn, 15n, 3n]],
  ])('handles all that ABI %i has, and no more', (abi, words) => {
    expect(rulesetAttribute(abi, { network: true })).toEqual(littleEndian(words));
  });

  test('leaves ports to something narrower when asked to', () => {
    expect(rulesetAttribute(7, { network: false })).toEqual(littleEndian([0xffffn, 0n, 3n]));
  });
});

describe('rights', () => {
  test('of a path never include devices, nor ioctl of one', () => {
    for (const rights of [READ, WRITE, EXECUTE]) {
      expect(rights).not.toContain('make-char');
      expect(rights).not.toContain('make-block');
      expect(rights).not.toContain('ioctl-dev');
    }
  });

  test('to write do not include execution, nor the reverse', () => {
    expect(WRITE).not.toContain('execute');
    expect(EXECUTE).not.toContain('write-file');
    expect(READ).toEqual(['read-file', 'read-dir']);
  });

  test('of a file are those that the kernel accepts for one', () => {
    expect(rightsMask(FILE_RIGHTS, 99)).toBe(0x1c007n);
    expect(rightsMask(FILE_RIGHTS, 1)).toBe(0x7n);
  });
});

test.each<[number, readonly string[]]>([
  [0, ['no-refer', 'no-truncate', 'no-ioctl', 'no-signal-scope']],
  [1, ['no-refer', 'no-truncate', 'no-ioctl', 'no-signal-scope']],
  [2, ['no-truncate', 'no-ioctl', 'no-signal-scope']],
  [3, ['no-ioctl', 'no-signal-scope']],
  [4, ['no-ioctl', 'no-signal-scope']],
  [5, ['no-signal-scope']],
  [6, []],
  [10, []],
])('ABI %i lacks %j', (abi, layers) => {
  expect(landlockGaps(abi)).toEqual(layers);
});

describe('landlockRows', () => {
  const rulesOf = (changes: Partial<LandlockRules>) =>
    landlockRows({ ...RULES, ...changes }, 6).filter(({ call }) => call === 'landlock_add_rule');

  test('deny everything without a grant', () => {
    expect(landlockRows(RULES, 6).map(({ call }) => call)).toEqual([
      'landlock_create_ruleset',
      'landlock_restrict_self',
    ]);
  });

  test('grant a path once, with the union of what is said of it', () => {
    const [files, folders, ...more] = rulesOf({ read: ['/a'], write: ['/a'], execute: ['/a'] });
    expect(more).toEqual([]);
    expect(files?.args[2]).toEqual({ bytes: littleEndian([0x4007n, 7n]) });
    expect(folders?.args[2]).toEqual({ bytes: littleEndian([0x77bfn, 7n]) });
  });

  test('open every path without following a symlink', () => {
    const opens = landlockRows(
      { ...RULES, read: ['/a'], write: ['/b'], execute: ['/c'] },
      6,
    ).filter(({ call }) => call.startsWith('open'));
    expect(opens.map(({ call }) => call)).toEqual(['openat2', 'openat2', 'openat2']);
    for (const { args } of opens) {
      expect(args[2]).toEqual({ bytes: littleEndian([0x280000n, 0n, 4n]) });
    }
  });

  test('ask about sockets only where the kernel knows the right', () => {
    const unixSockets = ['/bridge'];
    expect(rulesOf({ unixSockets, abi: 8 })).toEqual([]);
    const [rule] = rulesOf({ unixSockets, abi: 9 });
    expect(rule?.args[2]).toEqual({ bytes: littleEndian([0x10000n, 7n]) });
    expect(rule?.purpose).toBe('grant connect to `/bridge`');
  });
});

describe('the probe', () => {
  test('tells the ABI of this kernel', async () => {
    const run = await runLauncher(launcher, landlockProbeRows());
    expect(readLandlockProbe(run)).toBe(landlockAbi);
    expect(landlockAbi).toBeGreaterThan(0);
  });

  test('takes a refusal, a crash or nonsense for none', () => {
    const abi = Buffer.from(littleEndian([7n]));
    expect(readLandlockProbe({ exitCode: 0, report: abi })).toBe(7);
    expect(readLandlockProbe({ exitCode: 125, report: Buffer.alloc(24) })).toBe(0);
    expect(readLandlockProbe({ exitCode: null, report: abi })).toBe(0);
    expect(readLandlockProbe({ exitCode: 0, report: Buffer.alloc(24) })).toBe(0);
    expect(readLandlockProbe({ exitCode: 0, report: Buffer.alloc(0) })).toBe(0);
  });
});
